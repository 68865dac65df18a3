//! What a run knows of its open scopes that contain failure. Most runs have none, and then nothing of this is there.

use std::collections::{BTreeMap, BTreeSet};

use fastn_core::{Failure, Payload, Timestamp};

use super::slot::{ScopeId, Slot};
use super::undo::{Done, Stack};

/// What there is of scopes that contain failure.
#[derive(Clone, Debug, Default)]
pub(super) struct Contained {
    /// What was done inside of each and can be undone, in order of completion.
    pub(super) done: BTreeMap<ScopeId, Vec<Done>>,
    /// Those in which nothing new begins.
    pub(super) unwinding: BTreeMap<ScopeId, Unwinding>,
    /// Those of them that may have something to begin: looked at before a turn ends.
    pub(super) due: BTreeSet<ScopeId>,
    /// When an undo of one of them is tried again.
    pub(super) retries: BTreeSet<(Timestamp, ScopeId)>,
    /// Each `try` under way.
    pub(super) tries: BTreeMap<Slot, Trying>,
}

/// How far a `try` is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trying {
    pub(super) began: Timestamp,
    /// How often its body was done before.
    pub(super) times: u32,
}

/// A scope in which nothing new begins: what is under way is awaited, then what was done is undone, last first.
#[derive(Clone, Debug)]
pub(super) struct Unwinding {
    pub(super) why: Why,
    /// How many attempts, other runs and scopes inside that unwind themselves are awaited.
    pub(super) open: u32,
    /// What is left to undo or to call.
    pub(super) stack: Stack,
}

/// Why nothing new begins in a scope.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// Something in it failed, or nobody wants what it gives any more.
    Failed(Failure),
    /// It gave this, and its `finally` is being called; or that failed.
    Ended(Result<Payload, Failure>),
}

impl Contained {
    /// One thing that a scope has waited for is over.
    pub(super) fn let_go(&mut self, id: ScopeId) {
        if let Some(unwinding) = self.unwinding.get_mut(&id) {
            unwinding.open = unwinding.open.saturating_sub(1);
            self.due.insert(id);
        }
    }
}
