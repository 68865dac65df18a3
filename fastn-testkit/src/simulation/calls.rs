//! What steps really did in one run.

use std::time::Duration;

use fastn_core::{Address, Attempt, Part, Payload};

use super::executor::Process;

/// One call of a step's function.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) process: Process,
    /// Under which the process worked.
    pub(super) lease: Option<u64>,
    pub(super) at: Address,
    pub(super) part: Part,
    pub(super) attempt: Attempt,
    /// When it began, by uptime.
    pub(super) began: Duration,
    pub(super) end: Option<End>,
}

/// How a call ended.
#[derive(Debug)]
pub(super) enum End {
    Gave(Payload),
    Failed,
    /// It was dropped.
    CutOff,
}

/// All calls of one run, in order.
#[derive(Debug, Default)]
pub(super) struct Calls(pub(super) Vec<Call>);

impl Calls {
    fn of(&self, at: &Address, part: Part, attempt: Attempt) -> impl Iterator<Item = &Call> {
        self.0.iter().filter(move |call| call.attempt == attempt && call.part == part && call.at == *at)
    }

    /// Whether a call of this attempt gave this.
    pub(super) fn gave(&self, at: &Address, part: Part, attempt: Attempt, output: &Payload) -> bool {
        self.of(at, part, attempt).any(|call| matches!(&call.end, Some(End::Gave(given)) if given == output))
    }

    /// Whether a call of this attempt failed.
    pub(super) fn failed(&self, at: &Address, part: Part, attempt: Attempt) -> bool {
        self.of(at, part, attempt).any(|call| matches!(call.end, Some(End::Failed)))
    }

    /// Whether this attempt was made in this life of a process, under this lease.
    pub(super) fn was_made_in(&self, life: (Process, Option<u64>), at: &Address, part: Part, attempt: Attempt) -> bool {
        self.of(at, part, attempt).any(|call| (call.process, call.lease) == life)
    }

    /// How often a function was called.
    pub(super) fn count(&self, at: &Address, part: Part) -> usize {
        self.0.iter().filter(|call| call.part == part && call.at == *at).count()
    }

    /// The calls of a process that have not ended.
    pub(super) fn open(&self, process: Process) -> impl Iterator<Item = &Call> {
        self.0.iter().filter(move |call| call.process == process && call.end.is_none())
    }
}
