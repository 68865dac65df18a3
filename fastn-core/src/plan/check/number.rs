//! From a faultless draft to a plan.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use petgraph::csr::Csr;

use crate::plan::draft::{Draft, DraftHandler, DraftKind, DraftScope, DraftSource};
use crate::plan::graph::{Node, Plan, Scope, Source};
use crate::plan::hash;
use crate::plan::ids::{NodeIx, PlanHash, ScopeIx};
use crate::plan::kind::{Arm, Guarded, Handler, NodeKind};
use crate::{NodeName, Tag, Take, WorkflowName};

/// Numbers the nodes of a faultless draft: scope by scope, by name inside a scope, so that the order of declaration does
/// not matter.
pub(super) fn number(
    name: WorkflowName,
    requires: BTreeSet<Tag>,
    signals: BTreeMap<String, Take>,
    draft: Draft,
) -> Plan {
    let mut nodes: Vec<Node> = Vec::new();
    let mut scopes: Vec<Scope> = Vec::new();
    let mut edges: Vec<(u32, u32)> = Vec::new();
    let mut open: VecDeque<(Option<(NodeIx, u32)>, DraftScope)> = VecDeque::from([(None, draft.root)]);
    let mut next_scope = 1;
    while let Some((owner, scope)) = open.pop_front() {
        let this = ScopeIx(ix(scopes.len()));
        let first = ix(nodes.len());
        let mut inside = scope.nodes;
        inside.sort_by(|a, b| a.name.cmp(&b.name));
        let numbers: HashMap<String, NodeIx> =
            inside.iter().enumerate().map(|(i, node)| (node.name.clone(), NodeIx(first + ix(i)))).collect();
        let resolve = |source| match source {
            DraftSource::Input => Source::Input,
            DraftSource::Constant(value) => Source::Constant(value),
            DraftSource::Node(name) => numbers.get(&name).copied().map_or(Source::Input, Source::Node),
        };
        scopes.push(Scope { owner, output: scope.output.map_or(Source::Input, resolve), first, len: ix(inside.len()) });
        for node in inside {
            let at = NodeIx(ix(nodes.len()));
            let mut enclose = |number: usize, scope: DraftScope| {
                open.push_back((Some((at, ix(number))), scope));
                next_scope += 1;
                ScopeIx(next_scope - 1)
            };
            let mut arms = |arms: Vec<(String, DraftScope)>| -> Vec<Arm> {
                let arm = |(i, (label, scope))| Arm { label, scope: enclose(i, scope) };
                arms.into_iter().enumerate().map(arm).collect()
            };
            let kind = match node.kind {
                DraftKind::Step => NodeKind::Step,
                DraftKind::Call(action) => NodeKind::Call(action),
                DraftKind::Sleep(span) => NodeKind::Sleep(span),
                DraftKind::Wait(signal) => NodeKind::Wait(signal),
                DraftKind::Run(child) => NodeKind::Run(child),
                DraftKind::Repeat { body, most } => NodeKind::Repeat { body: enclose(0, body), most },
                DraftKind::Each { body, concurrency, tolerance } => {
                    NodeKind::Each { body: enclose(0, body), concurrency, tolerance }
                }
                DraftKind::When(drafts) => NodeKind::When(arms(drafts)),
                DraftKind::Race { arms: drafts, join } => NodeKind::Race { arms: arms(drafts), join },
                DraftKind::Fail(kind) => NodeKind::Fail(kind),
                DraftKind::Try { body, handlers, finally } => {
                    let body = enclose(0, body);
                    let handler = |(i, handler): (usize, DraftHandler)| {
                        let DraftHandler { label, kinds, scope } = handler;
                        Handler { label, kinds, scope: enclose(i + 1, scope) }
                    };
                    let handlers = handlers.into_iter().enumerate().map(handler).collect();
                    NodeKind::Try(Box::new(Guarded { body, handlers, finally }))
                }
            };
            let inputs: Vec<Source> = node.inputs.into_iter().map(resolve).collect();
            let mut after: Vec<NodeIx> = Vec::with_capacity(node.after.len());
            let mut known = HashSet::with_capacity(node.after.len());
            after.extend(
                node.after.iter().filter_map(|name| numbers.get(name).copied()).filter(|from| known.insert(*from)),
            );
            let mut waits_for: Vec<u32> = inputs
                .iter()
                .filter_map(|source| if let Source::Node(from) = source { Some(from.0) } else { None })
                .chain(after.iter().map(|from| from.0))
                .collect();
            waits_for.sort_unstable();
            waits_for.dedup();
            edges.extend(waits_for.iter().map(|from| (*from, at.0)));
            // The name was checked; the fallback is for the type only.
            let Ok(name) = NodeName::new(&node.name) else { continue };
            nodes.push(Node {
                name,
                kind,
                inputs,
                after,
                policy: node.policy,
                scope: this,
                work: node.work,
                output_type: node.output_type.map(Cow::into_owned),
                code: node.code,
                position: node.position,
                in_degree: ix(waits_for.len()),
                readers: 0,
            });
        }
    }
    count_readers(&scopes, &mut nodes);
    let mut plan = Plan {
        name,
        version: draft.version,
        deadline: draft.deadline,
        requires,
        signals,
        tries: nodes.iter().any(|node| matches!(node.kind, NodeKind::Try(_))),
        edges: adjacency(nodes.len(), edges),
        scopes,
        nodes,
        hash: PlanHash([0; 32]),
        shape: PlanHash([0; 32]),
    };
    plan.hash = hash::whole(&plan);
    plan.shape = hash::shape(&plan);
    plan
}

fn count_readers(scopes: &[Scope], nodes: &mut [Node]) {
    let inputs = nodes.iter().flat_map(|node| &node.inputs);
    let taken: Vec<u32> = inputs
        .chain(scopes.iter().map(|scope| &scope.output))
        .filter_map(|source| if let Source::Node(from) = source { Some(from.0) } else { None })
        .collect();
    for from in taken {
        if let Some(node) = nodes.get_mut(from as usize) {
            node.readers += 1;
        }
    }
}

/// The edges as one array, for cheap walks from a node to those that wait for it.
fn adjacency(nodes: usize, mut edges: Vec<(u32, u32)>) -> Csr<(), ()> {
    edges.sort_unstable();
    // Sorted and without doubles, as the constructor wants them; nodes behind the last edge are added after.
    let mut csr = Csr::from_sorted_edges(&edges).unwrap_or_default();
    while csr.node_count() < nodes {
        csr.add_node(());
    }
    csr
}

/// The limits keep every count far below 2^32.
fn ix(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
