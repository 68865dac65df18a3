//! One scope of a draft, and those inside it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use petgraph::graph::{DiGraph, NodeIndex};

use super::cycles::{check_cycles, check_reach};
use super::kinds::{beginning, check_kind};
use crate::NodeName;
use crate::plan::draft::{DraftHandler, DraftKind, DraftNode, DraftScope, DraftSource};
use crate::plan::fault::PlanFault;

/// The scopes inside a node, with the words that stand between its name and the names of their nodes.
pub(super) fn inner(kind: &DraftKind) -> Vec<(Cow<'_, str>, &DraftScope)> {
    match kind {
        DraftKind::When(arms) | DraftKind::Race { arms, .. } => {
            arms.iter().map(|(label, arm)| (Cow::Owned(format!(".{}", beginning(label))), arm)).collect()
        }
        DraftKind::Each { body, .. } | DraftKind::Repeat { body, .. } => vec![(Cow::Borrowed(""), body)],
        DraftKind::Try { body, handlers, .. } => {
            let word = |handler: &'_ DraftHandler| Cow::Owned(format!(".{}", beginning(&handler.label)));
            let handlers = handlers.iter().map(|handler| (word(handler), &handler.scope));
            std::iter::once((Cow::Borrowed(""), body)).chain(handlers).collect()
        }
        _ => Vec::new(),
    }
}

/// Finds every fault of a scope and of the scopes inside it.
pub(super) fn check_scope(scope: &DraftScope, prefix: &str, faults: &mut Vec<PlanFault>) {
    let path = |name: &str| format!("{prefix}{}", beginning(name));
    let scope_name = || match prefix.trim_end_matches('/') {
        "" => "the workflow".to_owned(),
        inside => format!("`{inside}`"),
    };
    let mut names: HashMap<&str, usize> = HashMap::with_capacity(scope.nodes.len());
    let mut doubles: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, node) in scope.nodes.iter().enumerate() {
        if let Err(why) = NodeName::new(&node.name) {
            faults.push(PlanFault::NodeName { name: node.name.clone(), scope: scope_name(), why });
        }
        if names.insert(&node.name, i).is_some() {
            *doubles.entry(&node.name).or_insert(1) += 1;
        }
        check_kind(node, &path(&node.name), faults);
    }
    faults.extend(doubles.iter().map(|(name, count)| PlanFault::DuplicateName { node: path(name), count: *count }));
    // Which of several nodes of one name is meant is not known; that fault is told, and no others because of it.
    names.retain(|name, _| !doubles.contains_key(name));

    // Edges, in the numbering of this scope's list; a node with an edge into nothing is rotten from the start.
    let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(scope.nodes.len(), scope.nodes.len());
    let mut rotten: Vec<Option<String>> = vec![None; scope.nodes.len()];
    for _ in &scope.nodes {
        graph.add_node(());
    }
    for (i, node) in scope.nodes.iter().enumerate() {
        let sources = node.inputs.iter().filter_map(|source| match source {
            DraftSource::Node(name) => Some(name),
            DraftSource::Input | DraftSource::Constant(_) => None,
        });
        for name in sources.chain(&node.after) {
            match names.get(name.as_str()) {
                Some(&from) => {
                    graph.add_edge(NodeIndex::new(from), NodeIndex::new(i), ());
                }
                None if doubles.contains_key(name.as_str()) => {}
                None => {
                    faults.push(PlanFault::DanglingEdge { node: path(&node.name), missing: name.clone() });
                    if let Some(slot) = rotten.get_mut(i) {
                        *slot = Some(path(&node.name));
                    }
                }
            }
        }
        check_types(scope, node, &names, &path, faults);
    }
    check_cycles(scope, &graph, &mut rotten, &path, faults);
    check_reach(scope, &graph, rotten, &path, faults);
    check_output(scope, &names, &doubles, scope_name, faults);

    for node in &scope.nodes {
        for (between, inside) in inner(&node.kind) {
            check_scope(inside, &format!("{prefix}{}{between}/", beginning(&node.name)), faults);
        }
    }
}

/// Whether what is given is what is taken, wherever both are known.
fn check_types(
    scope: &DraftScope,
    node: &DraftNode,
    names: &HashMap<&str, usize>,
    path: &impl Fn(&str) -> String,
    faults: &mut Vec<PlanFault>,
) {
    let Some(types) = &node.input_types else { return };
    for (port, (takes, source)) in types.iter().zip(&node.inputs).enumerate() {
        let (from, gives) = match source {
            DraftSource::Input => ("the input".to_owned(), scope.input_type.as_ref()),
            DraftSource::Constant(_) => continue,
            DraftSource::Node(name) => {
                let giver = names.get(name.as_str()).and_then(|i| scope.nodes.get(*i));
                (path(name), giver.and_then(|giver| giver.output_type.as_ref()))
            }
        };
        if let Some(gives) = gives.filter(|gives| *gives != takes) {
            let (takes, gives) = (takes.to_string(), gives.to_string());
            faults.push(PlanFault::TypeMismatch { node: path(&node.name), port, takes, from, gives });
        }
    }
}

fn check_output(
    scope: &DraftScope,
    names: &HashMap<&str, usize>,
    doubles: &BTreeMap<&str, usize>,
    scope_name: impl Fn() -> String,
    faults: &mut Vec<PlanFault>,
) {
    let (from, gives) = match &scope.output {
        None => return faults.push(PlanFault::MissingOutput { scope: scope_name() }),
        Some(DraftSource::Constant(_)) => return,
        Some(DraftSource::Input) => ("the input".to_owned(), scope.input_type.as_ref()),
        Some(DraftSource::Node(name)) => match names.get(name.as_str()).and_then(|i| scope.nodes.get(*i)) {
            Some(node) => (name.clone(), node.output_type.as_ref()),
            None if doubles.contains_key(name.as_str()) => return,
            None => return faults.push(PlanFault::DanglingOutput { scope: scope_name(), missing: name.clone() }),
        },
    };
    if let (Some(wants), Some(gives)) = (&scope.output_type, gives)
        && wants != gives
    {
        let (wants, gives) = (wants.to_string(), gives.to_string());
        faults.push(PlanFault::OutputMismatch { scope: scope_name(), wants, from, gives });
    }
}
