//! Nodes that wait for each other, and those that wait for them.

use std::collections::{HashMap, HashSet, VecDeque};

use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};

use crate::plan::draft::DraftScope;
use crate::plan::fault::PlanFault;

pub(super) fn check_cycles(
    scope: &DraftScope,
    graph: &DiGraph<(), ()>,
    rotten: &mut [Option<String>],
    path: &impl Fn(&str) -> String,
    faults: &mut Vec<PlanFault>,
) {
    if toposort(graph, None).is_ok() {
        return;
    }
    let name = |ix: NodeIndex| scope.nodes.get(ix.index()).map(|node| path(&node.name)).unwrap_or_default();
    for group in kosaraju_scc(graph) {
        let Some(cycle) = shortest_cycle(graph, &group) else { continue };
        faults.push(PlanFault::Cycle { path: cycle.into_iter().map(name).collect() });
        for member in group {
            if let Some(slot) = rotten.get_mut(member.index()) {
                *slot = Some(name(member));
            }
        }
    }
}

/// The shortest way from the first node of a strongly connected group back to itself, if there is one.
fn shortest_cycle(graph: &DiGraph<(), ()>, group: &[NodeIndex]) -> Option<Vec<NodeIndex>> {
    let start = *group.iter().min()?;
    if group.len() == 1 && !graph.contains_edge(start, start) {
        return None;
    }
    // A way back never leaves the group, and the search must not either: a long chain behind it would be walked again
    // and again.
    let group: HashSet<NodeIndex> = group.iter().copied().collect();
    let mut came_from: HashMap<NodeIndex, NodeIndex> = HashMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(at) = open.pop_front() {
        for next in graph.neighbors(at).filter(|next| group.contains(next)) {
            if next == start {
                let mut way = vec![start, at];
                let mut back = at;
                while let Some(&before) = came_from.get(&back) {
                    way.push(before);
                    back = before;
                }
                if at == start {
                    way.pop();
                    way.push(start);
                }
                way.reverse();
                return Some(way);
            }
            if let std::collections::hash_map::Entry::Vacant(entry) = came_from.entry(next) {
                entry.insert(at);
                open.push_back(next);
            }
        }
    }
    None
}

/// Names the nodes that wait, directly or not, for one that can never be done.
pub(super) fn check_reach(
    scope: &DraftScope,
    graph: &DiGraph<(), ()>,
    mut rotten: Vec<Option<String>>,
    path: &impl Fn(&str) -> String,
    faults: &mut Vec<PlanFault>,
) {
    let mut open: VecDeque<_> = (0..rotten.len()).filter(|i| matches!(rotten.get(*i), Some(Some(_)))).collect();
    while let Some(i) = open.pop_front() {
        let because = rotten.get(i).cloned().flatten().unwrap_or_default();
        for next in graph.neighbors(NodeIndex::new(i)) {
            if let (Some(slot @ None), Some(node)) = (rotten.get_mut(next.index()), scope.nodes.get(next.index())) {
                *slot = Some(because.clone());
                faults.push(PlanFault::Unreachable { node: path(&node.name), because: because.clone() });
                open.push_back(next.index());
            }
        }
    }
}
