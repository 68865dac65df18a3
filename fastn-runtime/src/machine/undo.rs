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
    /// Work was done that can be undone. An undo that was begun stays the last: work may still be answered then, if it was
    /// made again because the plan has learnt to undo it.
    pub(super) fn remember(&mut self, at: Address, output: Payload) {
        let place = self.done.len().saturating_sub(usize::from(self.current.is_some()));
        self.done.insert(place, (at, output));
    }

    /// Whether this is the work to be undone, which is the last then. Replay does not know what was begun until it is
    /// answered, so there it may be any.
    pub(super) fn is_next(&mut self, at: &Address) -> bool {
        if self.current.is_none()
            && let Some(place) = self.done.iter().rposition(|(done, _)| done == at)
            && let Some(tail) = self.done.get_mut(place..)
        {
            tail.rotate_left(1);
        }
        self.done.last().is_some_and(|(last, _)| last == at)
    }

    /// When the present undo is tried again.
    pub(super) fn retries_at(&self) -> Option<Timestamp> {
        match self.current {
            Some(Current::Backoff(_, until)) => Some(until),
            _ => None,
        }
    }
}
