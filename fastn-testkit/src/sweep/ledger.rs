//! What is recorded of a run, step by step.

use std::collections::{BTreeMap, BTreeSet};

use fastn_core::{Address, Event, FailureKind, Part, Plan, Record};

/// What is recorded of one function of a node, all its instances together.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Attempts that are known to have been made.
    pub(super) attempts: usize,
    pub(super) succeeded: usize,
    /// Attempts of which nobody knows.
    pub(super) unknown: usize,
    instances: BTreeSet<Address>,
}

/// What is recorded of each function, by the name of its effect.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(BTreeMap<String, Tally>);

impl Ledger {
    pub(super) fn new(plan: &Plan, records: &[Record]) -> Self {
        let mut ledger = BTreeMap::<String, Tally>::new();
        for record in records {
            let (at, part) = match &record.event {
                Event::Succeeded { at, part, .. } | Event::Failed { at, part, .. } => (at, *part),
                Event::Woke { at } | Event::Started { at, .. } | Event::Doubted { at, .. } => (at, Part::Work),
                _ => continue,
            };
            let tally = ledger.entry(effect(&plan.path(at.node), part)).or_default();
            tally.instances.insert(at.clone());
            match &record.event {
                Event::Failed { failure, .. } if failure.kind == FailureKind::OUTCOME_UNKNOWN => tally.unknown += 1,
                Event::Doubted { .. } => tally.unknown += 1,
                Event::Failed { .. } => tally.attempts += 1,
                Event::Started { .. } => {}
                _ => {
                    tally.attempts += 1;
                    tally.succeeded += 1;
                }
            }
        }
        Self(ledger)
    }

    pub(super) fn of(&self, effect: &str) -> Tally {
        self.0.get(effect).cloned().unwrap_or_default()
    }

    /// How many instances of it there are.
    pub(super) fn instances(&self, effect: &str) -> usize {
        self.0.get(effect).map_or(0, |tally| tally.instances.len())
    }

    pub(super) fn unknown(&self) -> usize {
        self.0.values().map(|tally| tally.unknown).sum()
    }
}

/// The name of a function's effect.
pub(super) fn effect(node: &str, part: Part) -> String {
    match part {
        Part::Work => node.to_owned(),
        other => format!("{} {node}", other.as_str()),
    }
}

/// The node of an effect, and which of its functions it is.
pub(super) fn function(effect: &str) -> (&str, Part) {
    for part in [Part::Undo, Part::OnError, Part::Finally] {
        if let Some(node) = effect.strip_prefix(part.as_str()).and_then(|rest| rest.strip_prefix(' ')) {
            return (node, part);
        }
    }
    (effect, Part::Work)
}
