//! A checked workflow.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use petgraph::csr::Csr;

use super::draft::Position;
use super::ids::{NodeIx, PlanHash, ScopeIx, WorkIx};
use super::kind::NodeKind;
use crate::{Address, NodeName, Payload, StepPolicy, Tag, Take, Version, WorkflowName};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The input of the scope.
    Input,
    /// The output of a node of the same scope.
    Node(NodeIx),
    /// Always this value.
    Constant(Payload),
}

/// A node of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its durable name, unique in its scope.
    pub name: NodeName,
    /// What it does.
    pub kind: NodeKind,
    /// Where its inputs come from, in order.
    pub inputs: Vec<Source>,
    /// Nodes that must be done first although nothing is taken from them.
    pub after: Vec<NodeIx>,
    /// How its work is done.
    pub policy: StepPolicy,
    /// The scope it stands in.
    pub scope: ScopeIx,
    /// The functions behind it.
    pub work: Option<WorkIx>,
    /// The type it gives, where it is known. For people; no part of the plan's identity.
    pub output_type: Option<String>,
    /// What its functions are, where that is a text. A part of the plan's identity, and none of its shape: a run in flight goes
    /// on with other functions.
    pub code: Option<String>,
    /// Where an editor shows it. No part of the plan's identity.
    pub position: Option<Position>,
    /// How many different nodes it waits for.
    pub(super) in_degree: u32,
    /// How many inputs and scope outputs take what it gives.
    pub(super) readers: u32,
}

impl Node {
    /// How many inputs and scope outputs take what it gives: when that many have had it, it can be forgotten.
    pub const fn readers(&self) -> u32 {
        self.readers
    }

    /// How many different nodes it waits for.
    pub const fn in_degree(&self) -> u32 {
        self.in_degree
    }
}

/// Nodes that see each other: a whole workflow, an arm of a `when`, the body of an `each`.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    /// The node it stands in, and which of that node's scopes it is; `None` for the whole workflow.
    pub owner: Option<(NodeIx, u32)>,
    /// What it gives.
    pub output: Source,
    /// Its first node.
    pub(super) first: u32,
    /// How many nodes it has.
    pub(super) len: u32,
}

impl Scope {
    /// The number of its first node; the others follow.
    pub const fn first(&self) -> NodeIx {
        NodeIx(self.first)
    }

    /// How many nodes it has, those of inner scopes not counted.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has no nodes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its nodes.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = NodeIx> + use<> {
        (self.first..self.first + self.len).map(NodeIx)
    }
}

/// A checked workflow: every name is a name, every edge has two ends, nothing waits for itself.
///
/// There is no way to one but [`Draft::check`](super::Draft::check).
#[derive(Clone)]
pub struct Plan {
    pub(super) name: WorkflowName,
    pub(super) version: Version,
    pub(super) deadline: Option<Duration>,
    pub(super) requires: BTreeSet<Tag>,
    /// What its nodes wait for.
    pub(super) signals: BTreeMap<String, Take>,
    /// Whether one of its nodes is a `try`. Known here, since it is asked at every turn of a run.
    pub(super) tries: bool,
    pub(super) scopes: Vec<Scope>,
    pub(super) nodes: Vec<Node>,
    /// An edge from each node to those that wait for it, each pair once.
    pub(super) edges: Csr<(), ()>,
    pub(super) hash: PlanHash,
    pub(super) shape: PlanHash,
}

impl Plan {
    /// The name of the workflow.
    pub const fn name(&self) -> &WorkflowName {
        &self.name
    }

    /// Its version.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// How long a run may take, from its start.
    pub const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// The tags without which no executor takes its runs.
    pub const fn requires(&self) -> &BTreeSet<Tag> {
        &self.requires
    }

    /// The signals that nodes wait for, and which of their values they take.
    pub const fn signals(&self) -> &BTreeMap<String, Take> {
        &self.signals
    }

    /// The identity of everything the plan says; layout and order of declaration do not matter.
    pub const fn hash(&self) -> PlanHash {
        self.hash
    }

    /// The identity of what runs in flight depend on: nodes, kinds and edges, but not names of the workflow, versions
    /// or policies. A run may be continued with any plan of its shape.
    pub const fn shape(&self) -> PlanHash {
        self.shape
    }

    /// The whole workflow as a scope.
    pub fn root(&self) -> &Scope {
        self.scope(ScopeIx(0))
    }

    /// All scopes.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// Whether one of its nodes is a `try`, which may have to wait before it does its body once more.
    pub const fn tries(&self) -> bool {
        self.tries
    }

    /// Whether a failure in a scope goes to the node that it stands in, and no further by itself.
    pub fn contains_failure(&self, ix: ScopeIx) -> bool {
        let owner = self.scope(ix).owner;
        owner.is_some_and(|(owner, number)| self.node(owner).kind.contains_failure(number))
    }

    /// Whether there is a scope that contains failure.
    pub fn has_containers(&self) -> bool {
        (0..).map(ScopeIx).zip(&self.scopes).any(|(ix, _)| self.contains_failure(ix))
    }

    /// All nodes of all scopes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// How many edges there are between nodes, each pair counted once.
    pub fn edge_count(&self) -> usize {
        self.edges.edge_count()
    }

    /// A scope of this plan.
    ///
    /// # Panics
    /// If the number is not of this plan.
    #[expect(clippy::indexing_slicing, reason = "scope numbers come from this plan; a foreign one is a defect")]
    pub fn scope(&self, ix: ScopeIx) -> &Scope {
        &self.scopes[ix.0 as usize]
    }

    /// A node of this plan.
    ///
    /// # Panics
    /// If the number is not of this plan. Numbers read from outside go through [`Plan::get`].
    #[expect(clippy::indexing_slicing, reason = "node numbers come from this plan; a foreign one is a defect")]
    pub fn node(&self, ix: NodeIx) -> &Node {
        &self.nodes[ix.0 as usize]
    }

    /// The node of this number, if there is one.
    pub fn get(&self, ix: NodeIx) -> Option<&Node> {
        self.nodes.get(ix.0 as usize)
    }

    /// The nodes that wait for this one.
    pub fn successors(&self, ix: NodeIx) -> impl Iterator<Item = NodeIx> + '_ {
        self.edges.neighbors_slice(ix.0).iter().copied().map(NodeIx)
    }

    /// The path of a node through its scopes, such as `lines/label`. Characters of names that mean something in paths
    /// stand behind a backslash, so that no two nodes have the same path.
    pub fn path(&self, ix: NodeIx) -> String {
        self.write_path(ix, None)
    }

    /// The path of an instance of a node, such as `lines[3]/label`.
    pub fn path_at(&self, at: &Address) -> String {
        self.write_path(at.node, Some(&at.items))
    }

    fn write_path(&self, ix: NodeIx, items: Option<&[u32]>) -> String {
        let Some(node) = self.get(ix) else { return format!("node {}", ix.0) };
        // From the inside out, then reversed; items are taken from the innermost on.
        let mut parts = vec![escaped(node.name.as_str(), &['/', '[', ']'])];
        let mut items = items.unwrap_or_default().iter().rev();
        let mut owner = self.scope(node.scope).owner;
        while let Some((outer, number)) = owner {
            let outer = self.node(outer);
            parts.push(match &outer.kind {
                NodeKind::When(arms) | NodeKind::Race { arms, .. } => {
                    let label = arms.get(number as usize).map_or("", |arm| arm.label.as_str());
                    chosen(outer, label)
                }
                NodeKind::Try(guarded) if number > 0 => {
                    let handler = guarded.handlers.get(number as usize - 1);
                    chosen(outer, handler.map_or("", |handler| handler.label.as_str()))
                }
                // That it is done for the first time need not be said.
                NodeKind::Try(_) => {
                    let name = escaped(outer.name.as_str(), &['/', '[', ']']);
                    let again = items.next().filter(|times| **times > 0);
                    again.map_or_else(|| name.clone(), |times| format!("{name}[{times}]"))
                }
                _ => {
                    let name = escaped(outer.name.as_str(), &['/', '[', ']']);
                    items.next().map_or_else(|| name.clone(), |item| format!("{name}[{item}]"))
                }
            });
            owner = self.scope(outer.scope).owner;
        }
        parts.reverse();
        parts.join("/")
    }

    /// The node at a path as [`Plan::path`] gives it.
    pub fn find(&self, path: &str) -> Option<NodeIx> {
        // Runs over all nodes: for people's questions, not for the way of a run.
        (0..self.nodes.len()).filter_map(|i| u32::try_from(i).ok()).map(NodeIx).find(|ix| self.path(*ix) == path)
    }
}

/// A scope of a node that has several, each with its label.
fn chosen(node: &Node, label: &str) -> String {
    let part = |text| escaped(text, &['/', '[', ']', '.']);
    format!("{}.{}", part(node.name.as_str()), part(label))
}

/// A text with a backslash before what is special, and before backslashes.
pub(super) fn escaped(text: &str, special: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\\' || special.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plan({} {}, {} nodes, {})", self.name, self.version, self.nodes.len(), self.hash)
    }
}

/// Two plans are equal if they say the same.
impl PartialEq for Plan {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Plan {}
