//! The state of scopes and of the nodes in them.

use fastn_core::plan::{NodeIx, Plan, ScopeIx, Source};
use fastn_core::{Attempt, Error, ErrorKind, Failure, Part, Payload, Result, RunId, Timestamp};

use super::items::Items;
use super::race::Race;
use super::slot::{ScopeId, Slot};

/// Where a scope stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parent {
    pub(super) slot: Slot,
    /// Which item of an `each`.
    pub(super) item: u32,
}

/// A scope that is being worked on.
#[derive(Clone, Debug)]
pub(super) struct ScopeState {
    pub(super) plan: ScopeIx,
    pub(super) parent: Option<Parent>,
    pub(super) input: Payload,
    first: u32,
    cells: Box<[Cell]>,
    /// Nodes that are not done.
    pub(super) remaining: u32,
    /// The innermost scope that contains failure around it, or it itself; a number that no scope has, if there is none.
    within: ScopeId,
}

/// No scope has this number.
const NO_SCOPE: ScopeId = ScopeId(u32::MAX);

/// A node that is being worked on.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// How many nodes it still waits for.
    pub(super) waits_for: u32,
    /// How many still want its output.
    pub(super) readers: u32,
    pub(super) state: State,
    pub(super) output: Option<Payload>,
}

#[derive(Clone, Debug)]
pub(super) enum State {
    /// For the nodes before it, or dropped because the run is ending.
    Idle,
    /// An attempt is under way.
    Running(Try),
    /// The next attempt is due at this time.
    Backoff(Try, Timestamp),
    /// It passes its input on at this time.
    Sleeping(Timestamp),
    /// For a signal, and in vain from this time on.
    Waiting(Try, Option<Timestamp>),
    /// For the end of a run that it has started, which is cancelled at this time.
    Awaiting(Try, RunId, Option<Timestamp>),
    /// One of its arms is being worked on, or its body once more.
    Arm(ScopeId),
    /// All of its arms are being worked on.
    Race(Box<Race>),
    /// Its items are being worked on.
    Items(Box<Items>),
    /// Its executor died while it ran, and a person has to say what became of it.
    Doubted(Try),
    /// It succeeded.
    Done,
    /// It failed for good.
    Failed,
}

/// Which try of which function.
#[derive(Clone, Debug)]
pub(super) struct Try {
    pub(super) part: Part,
    pub(super) attempt: Attempt,
    pub(super) began: Timestamp,
    /// Whether the start was recorded, so that after a crash the outcome is unknown.
    pub(super) recorded: bool,
    /// What an `on_error` function is told.
    pub(super) failure: Option<Box<Failure>>,
}

impl Try {
    pub(super) const fn first(part: Part, began: Timestamp) -> Self {
        Self { part, attempt: Attempt::FIRST, began, recorded: false, failure: None }
    }
}

/// The open scopes.
#[derive(Clone, Debug, Default)]
pub(super) struct Scopes {
    open: Vec<Option<ScopeState>>,
    free: Vec<ScopeId>,
}

impl Scopes {
    pub(super) fn open(&mut self, plan: &Plan, ix: ScopeIx, parent: Option<Parent>, input: Payload) -> ScopeId {
        let scope = plan.scope(ix);
        let cell = |ix| {
            let node = plan.node(ix);
            Cell { waits_for: node.in_degree(), readers: node.readers(), state: State::Idle, output: None }
        };
        let around = parent.and_then(|parent| self.get(parent.slot.scope).ok()).map_or(NO_SCOPE, |scope| scope.within);
        let contains = plan.contains_failure(ix);
        let mut state = ScopeState {
            plan: ix,
            parent,
            input,
            first: scope.first().0,
            cells: scope.nodes().map(cell).collect(),
            remaining: u32::try_from(scope.len()).unwrap_or(u32::MAX),
            within: around,
        };
        let free = self.free.pop();
        let id = free.unwrap_or(ScopeId(u32::try_from(self.open.len()).unwrap_or(u32::MAX)));
        if contains {
            state.within = id;
        }
        match free.and_then(|id| self.open.get_mut(id.0 as usize)) {
            Some(place) => *place = Some(state),
            None => self.open.push(Some(state)),
        }
        id
    }

    pub(super) fn close(&mut self, id: ScopeId) -> Option<ScopeState> {
        let state = self.open.get_mut(id.0 as usize)?.take()?;
        self.free.push(id);
        Some(state)
    }

    pub(super) fn get(&self, id: ScopeId) -> Result<&ScopeState> {
        self.open.get(id.0 as usize).and_then(Option::as_ref).ok_or_else(closed)
    }

    pub(super) fn get_mut(&mut self, id: ScopeId) -> Result<&mut ScopeState> {
        self.open.get_mut(id.0 as usize).and_then(Option::as_mut).ok_or_else(closed)
    }

    pub(super) fn cell(&self, slot: Slot) -> Result<&Cell> {
        self.get(slot.scope)?.cell(slot.node)
    }

    pub(super) fn cell_mut(&mut self, slot: Slot) -> Result<&mut Cell> {
        self.get_mut(slot.scope)?.cell_mut(slot.node)
    }

    /// Every open scope with its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ScopeId, &ScopeState)> {
        (0..).map(ScopeId).zip(&self.open).filter_map(|(id, state)| Some((id, state.as_ref()?)))
    }
}

impl State {
    /// The open scopes inside the node.
    pub(super) fn scopes(&self) -> Vec<ScopeId> {
        match self {
            Self::Arm(scope) => vec![*scope],
            Self::Items(items) => items.open_scopes().collect(),
            Self::Race(race) => race.open_scopes().collect(),
            _ => Vec::new(),
        }
    }
}

impl ScopeState {
    /// The innermost scope that contains failure around it, or it itself.
    pub(super) fn within(&self) -> Option<ScopeId> {
        Some(self.within).filter(|id| *id != NO_SCOPE)
    }

    pub(super) fn cell(&self, node: NodeIx) -> Result<&Cell> {
        self.cells.get(node.0.wrapping_sub(self.first) as usize).ok_or_else(closed)
    }

    pub(super) fn cell_mut(&mut self, node: NodeIx) -> Result<&mut Cell> {
        self.cells.get_mut(node.0.wrapping_sub(self.first) as usize).ok_or_else(closed)
    }

    /// Its nodes with their states.
    pub(super) fn cells(&self) -> impl Iterator<Item = (NodeIx, &Cell)> {
        (self.first..).map(NodeIx).zip(&self.cells)
    }

    /// One of those that wanted the value of a source has had it; with the last one it is forgotten.
    pub(super) fn release(&mut self, source: &Source) -> Result<()> {
        if let Source::Node(from) = source {
            let cell = self.cell_mut(*from)?;
            cell.readers = cell.readers.saturating_sub(1);
            if cell.readers == 0 {
                cell.output = None;
            }
        }
        Ok(())
    }

    /// The value of a source of one of its nodes, or of its output.
    pub(super) fn value(&self, source: &Source) -> Result<Payload> {
        Ok(match source {
            Source::Input => self.input.clone(),
            Source::Constant(value) => value.clone(),
            Source::Node(from) => self.cell(*from)?.output.clone().ok_or_else(closed)?,
        })
    }
}

/// Only a defect here or a damaged journal leads to a scope or value that is not there.
fn closed() -> Error {
    Error::new(ErrorKind::Corrupt, "find state of node")
}
