//! What is to be undone if a run, or a scope that contains failure, does not end well.

use fastn_core::{Address, Attempt, Part, Payload, Timestamp};

use super::cell::Try;

/// What there is to undo of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Undo {
    /// All of it but what was done in open scopes that contain failure.
    pub(super) run: Stack,
    /// What could not be undone.
    pub(super) stuck: Vec<String>,
    /// How much there was to undo so far.
    known: u32,
}

/// Something that is to be undone, or called in the end.
#[derive(Clone, Debug)]
pub(super) struct Done {
    /// The greater, the later it was done.
    pub(super) place: u32,
    /// The function that is called.
    pub(super) part: Part,
    pub(super) at: Address,
    /// What that is given.
    pub(super) value: Payload,
}

/// What is undone one after the other, last first, and how far that got.
#[derive(Clone, Debug, Default)]
pub(super) struct Stack {
    /// In order of completion.
    pub(super) done: Vec<Done>,
    /// The undo of the last of them, once it was begun.
    pub(super) current: Option<Current>,
}

#[derive(Clone, Debug)]
pub(super) enum Current {
    Running(Try),
    Backoff(Try, Timestamp),
}

impl Undo {
    /// One more that can be undone, or is to be called.
    pub(super) fn next(&mut self, at: Address, part: Part, value: Payload) -> Done {
        self.known = self.known.saturating_add(1);
        Done { place: self.known, part, at, value }
    }
}

impl Stack {
    /// Work was done that can be undone. An undo that was begun stays the last: work may still be answered then, if it was
    /// made again because the plan has learnt to undo it.
    pub(super) fn remember(&mut self, done: Done) {
        let place = self.done.len().saturating_sub(usize::from(self.current.is_some()));
        self.done.insert(place, done);
    }

    /// Whether this is the work to be undone, which is the last then. Replay does not know what was begun until it is
    /// answered, so there it may be any.
    pub(super) fn is_next(&mut self, at: &Address, part: Part) -> bool {
        let is = |done: &Done| done.at == *at && done.part == part;
        if self.current.is_none()
            && let Some(place) = self.done.iter().rposition(is)
            && let Some(tail) = self.done.get_mut(place..)
        {
            tail.rotate_left(1);
        }
        self.done.last().is_some_and(is)
    }

    /// When the present undo is tried again.
    pub(super) fn retries_at(&self) -> Option<Timestamp> {
        match self.current {
            Some(Current::Backoff(_, until)) => Some(until),
            _ => None,
        }
    }

    /// Takes what is to be called of a node out again.
    pub(super) fn take(&mut self, at: &Address, part: Part) -> Option<Done> {
        take(&mut self.done, at, part)
    }
}

/// Takes out what was remembered last of a node; near the end, where it is looked for, unless much was done meanwhile.
pub(super) fn take(done: &mut Vec<Done>, at: &Address, part: Part) -> Option<Done> {
    let place = done.iter().rposition(|done| done.at == *at && done.part == part)?;
    Some(done.remove(place))
}

/// Puts what was done in a scope among what was done around it, in order of completion.
pub(super) fn merge(done: &mut Vec<Done>, more: Vec<Done>) {
    let Some(first) = more.first().map(|first| first.place) else { return };
    let from = done.partition_point(|done| done.place < first);
    done.extend(more);
    // Only what was done since the scope was opened is out of order, if anything is.
    if let Some(tail) = done.get_mut(from..) {
        tail.sort_by_key(|done| done.place);
    }
}

/// A retry of an undo. Replay does not know when the first attempt began.
pub(super) fn again(part: Part, tried: Option<Try>, attempt: Attempt, until: Timestamp) -> Try {
    let began = tried.map_or(until, |tried| tried.began);
    Try { attempt: attempt.next(), ..Try::first(part, began) }
}
