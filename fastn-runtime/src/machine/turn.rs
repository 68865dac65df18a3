//! What comes out of the machine.

use std::collections::VecDeque;

use super::slot::Slot;
use fastn_core::{Address, Attempt, Event, Part, Payload, Record, RunId, Timestamp};

/// Something the driver does once the turn is durable.
#[derive(Debug)]
pub enum Action {
    /// Make this attempt, then tell the machine how it went.
    Run(Task),
    /// Stop every attempt that is under way; each still answers.
    AbortAll,
    /// Stop these; each still answers.
    Abort(Vec<AttemptId>),
    /// Wait for the end of this run, of the same tenant, then tell the machine: [`Machine::child_ended`].
    ///
    /// [`Machine::child_ended`]: super::Machine::child_ended
    Await(RunId),
    /// Cancel this run, of the same tenant, for this reason. Its end is still awaited.
    EndChild(RunId, String),
}

/// Which attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttemptId {
    /// Which instance of which node.
    pub at: Address,
    /// Which of its functions.
    pub part: Part,
    /// Which attempt.
    pub attempt: Attempt,
}

/// An attempt to make.
#[derive(Clone, Debug)]
pub struct Task {
    /// Which instance of which node.
    pub at: Address,
    /// Which of its functions.
    pub part: Part,
    /// Which attempt.
    pub attempt: Attempt,
    /// When the first attempt began.
    pub began: Timestamp,
    /// The arguments.
    pub args: Vec<Payload>,
    /// Whether it begins an item of an `each` only because another item is done. Then it does not follow from what this
    /// turn records, and need not wait until that is durable.
    pub ahead: bool,
}

/// What an event led to: records to make durable, and then things to do.
#[derive(Debug)]
pub struct Turn {
    /// The time of its events.
    pub time: Timestamp,
    /// Any random number: for waits before a `try` does its body once more.
    pub chance: u64,
    /// What to record.
    pub records: Vec<Record>,
    /// What to do after that.
    pub actions: Vec<Action>,
    /// Events that follow from those applied and are not applied yet.
    pub(super) follow: VecDeque<Event>,
    /// The `each` nodes whose lists became known in this turn.
    pub(super) opened: Vec<Slot>,
}

impl Turn {
    /// An empty turn.
    pub fn new(time: Timestamp) -> Self {
        Self { time, chance: 0, records: Vec::new(), actions: Vec::new(), follow: VecDeque::new(), opened: Vec::new() }
    }
}
