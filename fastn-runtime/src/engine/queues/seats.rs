//! The runs of queues that this engine has, so that it is the first to ask for another when one of them ends.

use std::sync::{Mutex, PoisonError};

use fastn_store::RunNo;
use foldhash::HashSet;

/// The runs that were admitted here. One that is missing frees its place all the same, and it is asked a little later.
#[derive(Debug, Default)]
pub(in crate::engine) struct Seats(Mutex<HashSet<RunNo>>);

impl Seats {
    pub(super) fn take(&self, run: RunNo) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(run);
    }

    /// Whether it was one of them.
    pub(in crate::engine) fn leave(&self, run: RunNo) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&run)
    }

    /// The lease was lost, and all runs with it.
    pub(in crate::engine) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
