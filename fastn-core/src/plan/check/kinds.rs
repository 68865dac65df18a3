//! What each kind of node needs.

use std::collections::HashSet;

use crate::plan::draft::{DraftKind, DraftNode, DraftScope};
use crate::plan::fault::PlanFault;
use crate::{Bond, Durability, NodeName, WorkflowName};

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
            check_arms(arms, path, faults);
            true
        }
        DraftKind::Each { concurrency, .. } => {
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

/// Labels are a part of paths, so they must be fit to be read and say which arm is meant.
fn check_arms(arms: &[(String, DraftScope)], path: &str, faults: &mut Vec<PlanFault>) {
    let mut labels = HashSet::with_capacity(arms.len());
    for (label, _) in arms {
        let (node, shown) = (path.to_owned(), beginning(label).to_owned());
        if let Err(why) = NodeName::new(label) {
            faults.push(PlanFault::ArmLabel { node, label: shown, why });
        } else if !labels.insert(label) {
            faults.push(PlanFault::DuplicateArm { node, label: shown });
        }
    }
}
