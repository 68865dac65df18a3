//! What is recorded of one run, in a form that can be asked.

use std::collections::BTreeMap;

use fastn_core::plan::{Node, NodeKind};
use fastn_core::{Address, Attempt, Event, Outcome, Part, Plan, Record, Timestamp};

use super::inbox::{Inboxes, Success};

/// An instance of one of a node's functions. Parts have no order of their own, so their words stand for them.
type Function = (Address, &'static str);

/// What is recorded of one run. Places are those in the journal, counted from 0.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) len: usize,
    succeeded: BTreeMap<Function, Success>,
    failed: BTreeMap<Function, Vec<Fail>>,
    pub(super) started: BTreeMap<Address, usize>,
    pub(super) sleeping: BTreeMap<Address, Timestamp>,
    pub(super) woke: BTreeMap<Address, usize>,
    /// What it was told, and who waits.
    pub(super) inboxes: Inboxes,
    /// What was done, can be undone, and is not: in order of completion.
    pub(super) to_undo: Vec<Address>,
    /// How many undos failed for good.
    pub(super) stuck: usize,
    /// Since when no new work is begun, and why.
    pub(super) cause: Option<(usize, Cause)>,
    pub(super) over: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Failure,
    Cancelled,
    Expired,
}

#[derive(Clone, Debug)]
pub(super) struct Fail {
    pub(super) retry_at: Option<Timestamp>,
}

impl Facts {
    pub(super) fn success(&self, at: &Address, part: Part) -> Option<&Success> {
        self.succeeded.get(&(at.clone(), part.as_str()))
    }

    pub(super) fn failures(&self, at: &Address, part: Part) -> &[Fail] {
        self.failed.get(&(at.clone(), part.as_str())).map_or(&[], Vec::as_slice)
    }

    /// Whether nothing more will be tried of a function.
    pub(super) fn gave_up(&self, at: &Address, part: Part) -> bool {
        self.failures(at, part).last().is_some_and(|fail| fail.retry_at.is_none())
    }

    /// The attempt that comes next.
    pub(super) fn next_attempt(&self, at: &Address, part: Part) -> Attempt {
        Attempt(u32::try_from(self.failures(at, part).len()).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// Takes a record in.
    pub(super) fn add(&mut self, plan: &Plan, record: &Record) {
        let place = self.len;
        self.len += 1;
        match &record.event {
            Event::Started { at, .. } => drop(self.started.insert(at.clone(), place)),
            Event::Succeeded { at, part: Part::Undo, output, .. } => {
                self.succeeded.insert((at.clone(), Part::Undo.as_str()), Success { place, output: output.clone() });
                self.to_undo.retain(|done| done != at);
            }
            Event::Succeeded { at, part, output, .. } => {
                self.succeeded.insert((at.clone(), part.as_str()), Success { place, output: output.clone() });
                if can_be_undone(plan, at) {
                    self.to_undo.push(at.clone());
                }
            }
            Event::Failed { at, part, retry_at, .. } => {
                if *part == Part::Work {
                    self.inboxes.gives_up(at);
                }
                self.failed.entry((at.clone(), part.as_str())).or_default().push(Fail { retry_at: *retry_at });
                let takes_over = plan.get(at.node).is_some_and(|node| node.policy.on_error) && *part == Part::Work;
                match (part, retry_at) {
                    (_, Some(_)) => {}
                    (Part::Undo, None) => {
                        self.stuck += 1;
                        self.to_undo.retain(|done| done != at);
                    }
                    (_, None) if takes_over => {}
                    (_, None) => self.ends(place, Cause::Failure),
                }
            }
            Event::Sleeping { at, until } => drop(self.sleeping.insert(at.clone(), *until)),
            Event::Woke { at } => drop(self.woke.insert(at.clone(), place)),
            Event::Waiting { at, until, .. } => {
                if let (Some(NodeKind::Wait(signal)), None) = (plan.get(at.node).map(|node| &node.kind), self.cause) {
                    self.inboxes.waits(at, &signal.name, signal.take, *until, place);
                }
            }
            Event::Signalled { id, signal, value, .. } => {
                let take = plan.signals().get(&**signal).copied().unwrap_or_default();
                self.inboxes.told(*id, signal, take, value, place);
            }
            Event::CancelRequested { .. } => self.ends(place, Cause::Cancelled),
            Event::Expired => self.ends(place, Cause::Expired),
            Event::Finished { outcome } => self.over = Some(outcome.clone()),
            _ => {}
        }
    }

    fn ends(&mut self, place: usize, cause: Cause) {
        self.cause.get_or_insert((place, cause));
    }
}

/// Whether what a node did can be undone.
pub(super) fn can_be_undone(plan: &Plan, at: &Address) -> bool {
    let steps = |node: &&Node| matches!(node.kind, NodeKind::Step | NodeKind::Call(_));
    plan.get(at.node).filter(steps).is_some_and(|node| node.policy.undo.is_some())
}
