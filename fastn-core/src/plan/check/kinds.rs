//! What each kind of node needs.

use std::collections::HashSet;

use crate::plan::draft::{DraftHandler, DraftKind, DraftNode};
use crate::plan::fault::PlanFault;
use crate::{Bond, Durability, FailureKind, NodeName, Tolerance, WorkflowName};

/// A name, or the beginning of what is too long to be one: many faults may name it.
pub(super) fn beginning(name: &str) -> &str {
    name.char_indices().nth(256).and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}

/// What a kind needs of its node.
pub(super) fn check_kind(node: &DraftNode, path: &str, faults: &mut Vec<PlanFault>) {
    let one_input = match &node.kind {
        DraftKind::Step => false,
        DraftKind::Wait(signal) => {
            if let Err(why) = NodeName::new(&signal.name) {
                let signal = beginning(&signal.name).to_owned();
                faults.push(PlanFault::SignalName { node: path.to_owned(), signal, why });
            }
            no_durability(node, path, "a wait is durable by itself", faults);
            false
        }
        DraftKind::Run(child) => {
            if let Err(why) = WorkflowName::new(&child.workflow) {
                let workflow = beginning(&child.workflow).to_owned();
                faults.push(PlanFault::ChildName { node: path.to_owned(), workflow, why });
            }
            no_durability(node, path, "a run is started exactly once by itself", faults);
            let limited = node.policy.within.is_some() || node.policy.deadline.is_some();
            if limited && child.bond != Bond::Own {
                let what = "a time limit means nothing to a run that nobody ends: it is left or detached";
                faults.push(PlanFault::Meaningless { node: path.to_owned(), what });
            }
            true
        }
        DraftKind::Call(_) | DraftKind::Sleep(_) => true,
        DraftKind::Repeat { most, .. } => {
            if *most == 0 {
                faults.push(PlanFault::Endless { node: path.to_owned(), why: "it may repeat nothing" });
            }
            true
        }
        DraftKind::When(arms) => {
            if arms.is_empty() {
                faults.push(PlanFault::Endless { node: path.to_owned(), why: "it has no arms" });
            }
            check_labels(arms.iter().map(|(label, _)| label), path, faults);
            true
        }
        DraftKind::Race { arms, join } => {
            let needs = join.needs() as usize;
            if needs == 0 {
                faults.push(PlanFault::Endless { node: path.to_owned(), why: "none of its arms need succeed" });
            } else if arms.len() < needs {
                faults.push(PlanFault::Endless { node: path.to_owned(), why: "it has fewer arms than must succeed" });
            }
            check_labels(arms.iter().map(|(label, _)| label), path, faults);
            no_work(node, path, faults);
            no_retry(node, path, faults);
            true
        }
        DraftKind::Try { handlers, .. } => {
            check_labels(handlers.iter().map(|handler| &handler.label), path, faults);
            check_handlers(handlers, path, faults);
            no_work(node, path, faults);
            true
        }
        DraftKind::Fail(kind) => {
            check_failure(kind, path, faults);
            no_work(node, path, faults);
            no_retry(node, path, faults);
            true
        }
        DraftKind::Each { concurrency, tolerance, .. } => {
            if matches!(tolerance, Tolerance::Percent(share) if *share > 100) {
                let what = "more than 100 in a hundred of its items may fail";
                faults.push(PlanFault::Meaningless { node: path.to_owned(), what });
            }
            if *concurrency == 0 {
                faults.push(PlanFault::Endless { node: path.to_owned(), why: "its concurrency is 0" });
            }
            true
        }
    };
    let takes = if one_input { Some(1) } else { node.input_types.as_ref().map(Vec::len) };
    if let Some(takes) = takes.filter(|takes| *takes != node.inputs.len()) {
        faults.push(PlanFault::InputCount { node: path.to_owned(), takes, given: node.inputs.len() });
    }
}

fn no_durability(node: &DraftNode, path: &str, what: &'static str, faults: &mut Vec<PlanFault>) {
    if node.policy.durability != Durability::Strict {
        faults.push(PlanFault::Meaningless { node: path.to_owned(), what });
    }
}

/// What is said of functions means nothing to what has none: a time limit, an undo, an `on_error`, a durability.
fn no_work(node: &DraftNode, path: &str, faults: &mut Vec<PlanFault>) {
    let policy = &node.policy;
    no_durability(node, path, "its scopes have durabilities of their own", faults);
    let said = [
        (
            policy.within.is_some() || policy.deadline.is_some(),
            "a time limit means nothing to it: a race with a sleep does",
        ),
        (policy.undo.is_some(), "it has nothing to undo but what its scopes can undo themselves"),
        (policy.on_error, "it has no work that an on_error could take over from"),
    ];
    let said = said.into_iter().filter(|(said, _)| *said);
    faults.extend(said.map(|(_, what)| PlanFault::Meaningless { node: path.to_owned(), what }));
}

fn no_retry(node: &DraftNode, path: &str, faults: &mut Vec<PlanFault>) {
    if node.policy.retry.most_attempts() > 1 {
        let what = "a retry means nothing to it: a try around it does";
        faults.push(PlanFault::Meaningless { node: path.to_owned(), what });
    }
}

/// Every handler can be reached by some failure, and names kinds that are some.
fn check_handlers(handlers: &[DraftHandler], path: &str, faults: &mut Vec<PlanFault>) {
    let mut taken = HashSet::new();
    let mut all = false;
    for handler in handlers {
        handler.kinds.iter().for_each(|kind| check_failure(kind, path, faults));
        let reached = !all && (handler.kinds.is_empty() || handler.kinds.iter().any(|kind| !taken.contains(kind)));
        if !reached {
            let what = "the handlers before one of its handlers take all that it would take";
            faults.push(PlanFault::Meaningless { node: path.to_owned(), what });
        }
        all |= handler.kinds.is_empty();
        taken.extend(&handler.kinds);
    }
}

fn check_failure(kind: &FailureKind, path: &str, faults: &mut Vec<PlanFault>) {
    if let Err(why) = NodeName::new(kind.as_str()) {
        let kind = beginning(kind.as_str()).to_owned();
        faults.push(PlanFault::FailureKind { node: path.to_owned(), kind, why });
    }
}

/// Labels are a part of paths, so they must be fit to be read and say which scope is meant.
fn check_labels<'a>(labels: impl Iterator<Item = &'a String>, path: &str, faults: &mut Vec<PlanFault>) {
    let mut known = HashSet::new();
    for label in labels {
        let (node, shown) = (path.to_owned(), beginning(label).to_owned());
        if let Err(why) = NodeName::new(label) {
            faults.push(PlanFault::ArmLabel { node, label: shown, why });
        } else if !known.insert(label) {
            faults.push(PlanFault::DuplicateArm { node, label: shown });
        }
    }
}
