//! The faults of a plan, and where they stand in the document.

use std::collections::HashMap;

use fastn_core::{PlanFault, PlanFaults};

use crate::fault::{FaultKind, Found};
use crate::model::Flow;
use crate::place::Span;

/// Tells the faults of a plan at the nodes or tags that they name, or at the document's name.
pub(super) fn blame(faults: PlanFaults, places: &HashMap<String, Span>, flow: &Flow, found: &mut Found) {
    for fault in faults.faults {
        let of_tag = match &fault {
            PlanFault::Tag { tag, .. } => flow.requires.iter().find(|said| said.it == *tag).map(|said| said.span),
            _ => None,
        };
        let of_node = || node_of(&fault).and_then(|node| places.get(node)).copied();
        let span = of_tag.or_else(of_node).unwrap_or(flow.name.span);
        found.add(FaultKind::Plan, span, fault.to_string());
    }
}

/// The node that a fault is about. A scope is named as its node is.
fn node_of(fault: &PlanFault) -> Option<&str> {
    Some(match fault {
        PlanFault::NodeName { name, .. } => name,
        PlanFault::DuplicateName { node, .. }
        | PlanFault::DanglingEdge { node, .. }
        | PlanFault::Unreachable { node, .. }
        | PlanFault::InputCount { node, .. }
        | PlanFault::TypeMismatch { node, .. }
        | PlanFault::Endless { node, .. }
        | PlanFault::ArmLabel { node, .. }
        | PlanFault::DuplicateArm { node, .. }
        | PlanFault::SignalName { node, .. }
        | PlanFault::SignalTake { node, .. }
        | PlanFault::ChildName { node, .. }
        | PlanFault::Meaningless { node, .. }
        | PlanFault::TooDeep { node, .. } => node,
        PlanFault::Cycle { path } => path.first()?,
        PlanFault::MissingOutput { scope }
        | PlanFault::DanglingOutput { scope, .. }
        | PlanFault::OutputMismatch { scope, .. } => scope.trim_matches('`'),
        _ => return None,
    })
}
