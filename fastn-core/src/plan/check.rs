//! The one door from a draft to a plan.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::csr::Csr;
use petgraph::graph::{DiGraph, NodeIndex};

use super::draft::{Draft, DraftKind, DraftNode, DraftScope, DraftSource};
use super::fault::{PlanFault, PlanFaults};
use super::graph::{Arm, Node, NodeKind, Plan, Scope, Source};
use super::hash;
use super::ids::{NodeIx, PlanHash, ScopeIx};
use crate::{Bond, Durability, NodeName, Tag, Take, WorkflowName};

/// How large a plan may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most nodes, those of all scopes counted together.
    pub nodes: usize,
    /// How deep scopes may be nested; the whole workflow is at depth 1.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { nodes: 1_000_000, depth: 32 }
    }
}

impl Limits {
    /// At most so many nodes, those of all scopes counted together.
    #[must_use]
    pub const fn nodes(mut self, most: usize) -> Self {
        self.nodes = most;
        self
    }
}

impl Draft {
    /// Checks the draft under the default [`Limits`] and makes it a plan.
    ///
    /// # Errors
    /// [`PlanFaults`]: every fault there is, each with the node's name.
    pub fn check(self) -> Result<Plan, PlanFaults> {
        self.check_within(Limits::default())
    }

    /// Checks the draft under these limits and makes it a plan.
    ///
    /// # Errors
    /// [`PlanFaults`]: every fault there is, each with the node's name.
    pub fn check_within(self, limits: Limits) -> Result<Plan, PlanFaults> {
        check(self, limits)
    }
}

fn check(draft: Draft, limits: Limits) -> Result<Plan, PlanFaults> {
    let mut faults = Vec::new();
    let name = WorkflowName::new(&draft.name)
        .map_err(|why| faults.push(PlanFault::WorkflowName { name: draft.name.clone(), why }))
        .ok();
    let requires = tags(&draft.requires, &mut faults);

    if let Err(fault) = measure(&draft.root, limits) {
        // Nothing that is too large is looked at more closely.
        faults.push(fault);
        dismantle(draft.root);
        return Err(PlanFaults { workflow: draft.name, faults });
    }
    check_scope(&draft.root, "", &mut faults);

    match name {
        Some(name) if faults.is_empty() => {
            let shown = draft.name.clone();
            let mut plan = number(name, requires, draft);
            plan.signals = signals(&plan.nodes, |node| plan.path(node), &mut faults);
            if faults.is_empty() { Ok(plan) } else { Err(PlanFaults { workflow: shown, faults }) }
        }
        _ => Err(PlanFaults { workflow: draft.name, faults }),
    }
}

fn tags(requires: &[String], faults: &mut Vec<PlanFault>) -> BTreeSet<Tag> {
    let mut tags = BTreeSet::new();
    for tag in requires {
        match Tag::new(tag) {
            Ok(tag) => drop(tags.insert(tag)),
            Err(why) => faults.push(PlanFault::Tag { tag: tag.clone(), why }),
        }
    }
    tags
}

/// Counts nodes and depth without recursion, so that a hostile draft cannot exhaust the stack.
fn measure(root: &DraftScope, limits: Limits) -> Result<(), PlanFault> {
    let mut count = 0;
    let mut open = vec![(root, 1, "")];
    while let Some((scope, depth, owner)) = open.pop() {
        if depth > limits.depth {
            return Err(PlanFault::TooDeep { node: owner.to_owned(), most: limits.depth });
        }
        count += scope.nodes.len();
        if count > limits.nodes {
            return Err(PlanFault::TooManyNodes { count, most: limits.nodes });
        }
        for node in &scope.nodes {
            open.extend(inner(&node.kind).into_iter().map(|(_, scope)| (scope, depth + 1, node.name.as_str())));
        }
    }
    Ok(())
}

/// Drops a draft scope by scope, without recursion: dropped as it is, one that is too deep would exhaust the stack.
fn dismantle(root: DraftScope) {
    let mut open = vec![root];
    while let Some(scope) = open.pop() {
        for node in scope.nodes {
            match node.kind {
                DraftKind::When(arms) => open.extend(arms.into_iter().map(|(_, arm)| arm)),
                DraftKind::Each { body, .. } | DraftKind::Repeat { body, .. } => open.push(body),
                _ => {}
            }
        }
    }
}

/// The scopes inside a node, with the words that stand between its name and the names of their nodes.
fn inner(kind: &DraftKind) -> Vec<(Cow<'_, str>, &DraftScope)> {
    match kind {
        DraftKind::When(arms) => {
            arms.iter().map(|(label, arm)| (Cow::Owned(format!(".{}", beginning(label))), arm)).collect()
        }
        DraftKind::Each { body, .. } | DraftKind::Repeat { body, .. } => vec![(Cow::Borrowed(""), body)],
        _ => Vec::new(),
    }
}

/// A name, or the beginning of what is too long to be one: many faults may name it.
fn beginning(name: &str) -> &str {
    name.char_indices().nth(256).and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}

/// Finds every fault of a scope and of the scopes inside it.
fn check_scope(scope: &DraftScope, prefix: &str, faults: &mut Vec<PlanFault>) {
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

/// What a kind needs of its node.
fn check_kind(node: &DraftNode, path: &str, faults: &mut Vec<PlanFault>) {
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

/// The signals that are waited for, of all scopes: those who wait for one must agree on what they take of it.
fn signals(nodes: &[Node], path: impl Fn(NodeIx) -> String, faults: &mut Vec<PlanFault>) -> BTreeMap<String, Take> {
    let mut signals = BTreeMap::new();
    for (i, node) in nodes.iter().enumerate() {
        let NodeKind::Wait(signal) = &node.kind else { continue };
        let take = *signals.entry(signal.name.to_string()).or_insert(signal.take);
        if take != signal.take {
            faults.push(PlanFault::SignalTake { node: path(NodeIx(ix(i))), signal: signal.name.to_string() });
        }
    }
    signals
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

fn check_cycles(
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
fn check_reach(
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

/// Numbers the nodes of a faultless draft: scope by scope, by name inside a scope, so that the order of declaration does
/// not matter.
fn number(name: WorkflowName, requires: BTreeSet<Tag>, draft: Draft) -> Plan {
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
            let kind = match node.kind {
                DraftKind::Step => NodeKind::Step,
                DraftKind::Call(action) => NodeKind::Call(action),
                DraftKind::Sleep(span) => NodeKind::Sleep(span),
                DraftKind::Wait(signal) => NodeKind::Wait(signal),
                DraftKind::Run(child) => NodeKind::Run(child),
                DraftKind::Repeat { body, most } => NodeKind::Repeat { body: enclose(0, body), most },
                DraftKind::Each { body, concurrency } => NodeKind::Each { body: enclose(0, body), concurrency },
                DraftKind::When(arms) => NodeKind::When(
                    arms.into_iter()
                        .enumerate()
                        .map(|(i, (label, scope))| Arm { label, scope: enclose(i, scope) })
                        .collect(),
                ),
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
        signals: BTreeMap::new(),
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
