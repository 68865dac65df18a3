//! What a run can begin with of what another one has done.
//!
//! Kept are the records of what is done and does not come after what is to be made again. What was not done begins anew: a wait that
//! nobody answered, a sleep that has not ended, another run that has not. A signal goes with the wait that it answered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fastn_core::plan::{NodeIx, NodeKind, Plan};
use fastn_core::{Address, Decision, Event, Part, Record, Take};

/// A node within its scopes, from the outside in, each with its item or round.
type Chain = Vec<(NodeIx, Option<u32>)>;

/// The records with which a run of this plan can begin that makes these again, with all that comes after them, of what another
/// one has recorded. What that one has undone is made again too.
pub fn inherit(plan: &Plan, records: &[Record], again: &[Address]) -> Vec<Record> {
    let cut = Cut::new(plan, records, again);
    let mut kept = Vec::new();
    // Of each loop how often it has chosen, and what was tried since: that counts only with what came of it.
    let mut loops = BTreeMap::<&Address, (u32, Vec<usize>)>::new();
    for (place, record) in records.iter().enumerate() {
        match &record.event {
            Event::Signalled { .. } => {
                if cut.answers.get(&place).is_none_or(|waits| waits.iter().any(|at| cut.keeps(at))) {
                    kept.push(place);
                }
            }
            event => match of(event) {
                None | Some((_, Part::Undo)) => {}
                Some((at, part)) if is_loop(plan, at) => {
                    let (made, tried) = loops.entry(at).or_default();
                    tried.push(place);
                    if matches!(event, Event::Succeeded { .. }) {
                        let tried = std::mem::take(tried);
                        if cut.keeps_choice(at, *made, part) {
                            kept.extend(tried);
                        }
                        *made += 1;
                    }
                }
                Some((at, _)) if cut.keeps(at) => kept.push(place),
                Some(_) => {}
            },
        }
    }
    kept.sort_unstable();
    kept.into_iter().filter_map(|place| records.get(place).cloned()).collect()
}

/// What is kept and what is not.
struct Cut<'a> {
    plan: &'a Plan,
    /// What is made again.
    again: Vec<Chain>,
    done: BTreeSet<&'a Address>,
    /// Which waits each signal has answered, by its place.
    answers: BTreeMap<usize, Vec<&'a Address>>,
}

impl<'a> Cut<'a> {
    fn new(plan: &'a Plan, records: &'a [Record], again: &[Address]) -> Self {
        let answers = answers(plan, records);
        let mut done: BTreeSet<&Address> = answers.values().flatten().copied().collect();
        let mut undone = Vec::new();
        for record in records {
            match &record.event {
                Event::Succeeded { at, part: Part::Undo, .. }
                | Event::Decided { at, part: Part::Undo, decision: Decision::Gave(_), .. } => undone.push(at),
                Event::Succeeded { at, .. }
                | Event::Woke { at }
                | Event::Decided { at, decision: Decision::Gave(_), .. } => {
                    done.insert(at);
                }
                _ => {}
            }
        }
        let again = again.iter().chain(undone).map(|at| chain(plan, at)).collect();
        Self { plan, again, done, answers }
    }

    /// Whether what is recorded of an instance is kept.
    fn keeps(&self, at: &Address) -> bool {
        let own = chain(self.plan, at);
        self.done.contains(at) && !self.again.iter().any(|again| self.comes_after(again, &own))
    }

    /// Whether a loop's choice is kept that was made before this round.
    fn keeps_choice(&self, at: &Address, round: u32, part: Part) -> bool {
        let own = chain(self.plan, at);
        if self.again.iter().any(|again| self.comes_after(again, &own)) {
            return false;
        }
        let within = |again: &&Chain| {
            again.len() > own.len() && again.iter().zip(&own).all(|(a, b)| a.0 == b.0 && (a.1 == b.1 || b.1.is_none()))
        };
        let rounds = self.again.iter().filter(within).filter_map(|again| again.get(own.len() - 1)?.1).min();
        rounds.is_none_or(|again| part == Part::Work && round <= again)
    }

    /// Whether an instance is made again when this one is, or comes after it.
    fn comes_after(&self, again: &Chain, at: &Chain) -> bool {
        for (depth, ((node, item), (own, own_item))) in again.iter().zip(at).enumerate() {
            if node != own {
                // Only nodes of one scope can come one after the other: arms are scopes of their own.
                return self.plan.node(*node).scope == self.plan.node(*own).scope && self.leads_to(*node, *own);
            }
            if depth + 1 == again.len() {
                return true;
            }
            match (item, own_item) {
                // Items of an `each` know nothing of each other; the rounds of a loop come one after the other.
                (Some(item), Some(own_item)) if item != own_item => {
                    return matches!(self.plan.node(*node).kind, NodeKind::Repeat { .. }) && own_item > item;
                }
                _ => {}
            }
        }
        false
    }

    /// Whether a node waits for another, perhaps by way of others.
    fn leads_to(&self, from: NodeIx, to: NodeIx) -> bool {
        let (mut open, mut seen) = (vec![from], BTreeSet::new());
        while let Some(node) = open.pop() {
            for next in self.plan.successors(node) {
                if next == to {
                    return true;
                }
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        false
    }
}

/// The instance that an event is about, and which of its functions.
fn of(event: &Event) -> Option<(&Address, Part)> {
    match event {
        Event::Succeeded { at, part, .. } | Event::Failed { at, part, .. } | Event::Decided { at, part, .. } => {
            Some((at, *part))
        }
        Event::Started { at, .. }
        | Event::Doubted { at, .. }
        | Event::Sleeping { at, .. }
        | Event::Woke { at }
        | Event::Waiting { at, .. }
        | Event::Child { at, .. } => Some((at, Part::Work)),
        _ => None,
    }
}

fn is_loop(plan: &Plan, at: &Address) -> bool {
    plan.get(at.node).is_some_and(|node| matches!(node.kind, NodeKind::Repeat { .. }))
}

fn chain(plan: &Plan, at: &Address) -> Chain {
    let mut nodes = Vec::new();
    let mut next = Some(at.node);
    while let Some(node) = next.filter(|node| plan.get(*node).is_some()) {
        nodes.push(node);
        next = plan.scope(plan.node(node).scope).owner.map(|(owner, _)| owner);
    }
    let (mut items, mut chain) = (at.items.iter().copied(), Chain::new());
    for (left, node) in nodes.into_iter().enumerate().rev() {
        let counts = matches!(plan.node(node).kind, NodeKind::Each { .. } | NodeKind::Repeat { .. });
        chain.push((node, if counts && left > 0 { items.next() } else { None }));
    }
    chain
}

/// Which waits were answered by which signals, as the machine has given them.
fn answers<'a>(plan: &Plan, records: &'a [Record]) -> BTreeMap<usize, Vec<&'a Address>> {
    let mut waiting = BTreeMap::<&str, VecDeque<&Address>>::new();
    let mut values = BTreeMap::<&str, VecDeque<usize>>::new();
    let mut answers = BTreeMap::<usize, Vec<&Address>>::new();
    let signal = |at: &Address| match plan.get(at.node).map(|node| &node.kind) {
        Some(NodeKind::Wait(signal)) => Some((&*signal.name, signal.take)),
        _ => None,
    };
    for (place, record) in records.iter().enumerate() {
        match &record.event {
            Event::Waiting { at, .. } => {
                let Some((name, take)) = signal(at) else { continue };
                let kept = values.entry(name).or_default();
                let value = if take == Take::First { kept.front().copied() } else { kept.pop_front() };
                match value {
                    Some(value) => answers.entry(value).or_default().push(at),
                    None => waiting.entry(name).or_default().push_back(at),
                }
            }
            Event::Signalled { signal: name, .. } => {
                let Some((name, take)) = plan.signals().get_key_value(name) else { continue };
                let waits = waiting.entry(name).or_default();
                let answered: Vec<&Address> = if *take == Take::First {
                    waits.drain(..).collect()
                } else {
                    waits.pop_front().into_iter().collect()
                };
                if *take == Take::First || answered.is_empty() {
                    values.entry(name).or_default().push_back(place);
                }
                if !answered.is_empty() {
                    answers.entry(place).or_default().extend(answered);
                }
            }
            Event::Failed { at, .. } | Event::Decided { at, .. } => {
                if let Some(waits) = signal(at).and_then(|(name, _)| waiting.get_mut(name)) {
                    waits.retain(|waits| *waits != at);
                }
            }
            _ => {}
        }
    }
    answers
}
