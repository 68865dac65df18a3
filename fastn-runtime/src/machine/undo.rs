//! What is to be undone if a run does not succeed.

use fastn_core::{Address, Payload, Timestamp};

use super::cell::Try;

/// What there is to undo, and how far it got.
#[derive(Clone, Debug, Default)]
pub(super) struct Undo {
    /// Work that was done and can be undone, in order of completion.
    pub(super) done: Vec<(Address, Payload)>,
    /// The undo of the last of them, once it was begun.
    pub(super) current: Option<Current>,
    /// What could not be undone.
    pub(super) stuck: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Current {
    Running(Try),
    Backoff(Try, Timestamp),
}

impl Undo {
    /// Work was done that can be undone.
    pub(super) fn remember(&mut self, at: Address, output: Payload) {
        self.done.push((at, output));
    }

    /// When the present undo is tried again.
    pub(super) fn retries_at(&self) -> Option<Timestamp> {
        match self.current {
            Some(Current::Backoff(_, until)) => Some(until),
            _ => None,
        }
    }
}
