//! Drafts as they are written.

use fastn_core::plan::{DraftKind, DraftNode, DraftScope, DraftSource, WorkIx};
use fastn_core::{Functions, Payload, PlanFault};

use crate::port::{Place, Wire};
use crate::short;

/// What all scopes of a workflow share.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) functions: Vec<Functions>,
    /// What went wrong before there was a draft to check.
    pub(crate) faults: Vec<PlanFault>,
}

impl Shared {
    /// Keeps the functions of a node.
    pub(crate) fn keep(&mut self, functions: Functions) -> Option<WorkIx> {
        // A plan of more nodes than a `u32` counts is refused by its check, so what is left out here is never missed.
        let ix = u32::try_from(self.functions.len()).ok().map(WorkIx);
        self.functions.push(functions);
        ix
    }
}

/// One scope as it is written. Borrowed only for the moment of a change, never while the author's code runs.
#[derive(Default)]
pub(crate) struct Scope {
    nodes: Vec<DraftNode>,
    constants: Vec<Payload>,
}

impl Scope {
    /// Adds a node and says where its output is found.
    pub(crate) fn add(&mut self, mut node: DraftNode, wires: Vec<Wire>, after: &[Place]) -> Place {
        node.inputs = wires.iter().map(|wire| self.source(wire.from)).collect();
        node.input_types = Some(wires.into_iter().map(|wire| wire.of).collect());
        // The input of a scope and constants are always there: nothing need wait for them.
        node.after = after.iter().filter_map(|place| self.node_at(*place)).collect();
        self.nodes.push(node);
        Place::Node(self.nodes.len() - 1)
    }

    /// Adds a constant and says where it is found.
    pub(crate) fn add_constant(&mut self, value: Payload) -> Place {
        self.constants.push(value);
        Place::Constant(self.constants.len() - 1)
    }

    /// The draft of a scope that takes a `T` and gives a `U`, found at this place.
    pub(crate) fn into_draft<T, U>(self, output: Place) -> DraftScope {
        DraftScope {
            output: Some(self.source(output)),
            nodes: self.nodes,
            input_type: Some(short::type_name::<T>()),
            output_type: Some(short::type_name::<U>()),
        }
    }

    fn node_at(&self, place: Place) -> Option<String> {
        match place {
            Place::Node(at) => self.nodes.get(at).map(|node| node.name.clone()),
            Place::Input | Place::Constant(_) => None,
        }
    }

    /// The brand of a port proves that its place is of this scope; were it not, the check of the draft would refuse what
    /// stands here instead.
    fn source(&self, place: Place) -> DraftSource {
        match place {
            Place::Input => DraftSource::Input,
            Place::Node(_) => DraftSource::Node(self.node_at(place).unwrap_or_default()),
            Place::Constant(at) => self
                .constants
                .get(at)
                .map_or(DraftSource::Node(String::new()), |value| DraftSource::Constant(value.clone())),
        }
    }
}

/// A node of this name and kind that gives a `T`.
pub(crate) fn node<T>(name: &str, kind: DraftKind) -> DraftNode {
    let mut node = DraftNode::new(name, kind);
    node.output_type = Some(short::type_name::<T>());
    node
}
