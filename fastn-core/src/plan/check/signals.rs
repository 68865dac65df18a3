//! What the nodes of all scopes wait for.

use std::collections::BTreeMap;

use super::kinds::beginning;
use super::scope::inner;
use crate::Take;
use crate::plan::draft::{DraftKind, DraftScope};
use crate::plan::fault::PlanFault;

/// The signals that are waited for; those who wait for one must agree on what they take of it.
pub(super) fn signals(root: &DraftScope, faults: &mut Vec<PlanFault>) -> BTreeMap<String, Take> {
    let mut signals = BTreeMap::new();
    let mut open = vec![(root, String::new())];
    while let Some((scope, prefix)) = open.pop() {
        for node in &scope.nodes {
            let path = format!("{prefix}{}", beginning(&node.name));
            if let DraftKind::Wait(signal) = &node.kind {
                let take = *signals.entry(signal.name.to_string()).or_insert(signal.take);
                if take != signal.take {
                    let signal = beginning(&signal.name).to_owned();
                    faults.push(PlanFault::SignalTake { node: path.clone(), signal });
                }
            }
            let inside = inner(&node.kind).into_iter();
            open.extend(inside.map(|(between, scope)| (scope, format!("{path}{between}/"))));
        }
    }
    signals
}
