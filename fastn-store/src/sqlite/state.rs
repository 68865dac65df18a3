//! What the writer remembers between two transactions.

use std::collections::HashSet;

use fastn_core::QueueName;
use foldhash::HashMap;

use super::definitions::Definitions;
use super::lock::LockFile;
use crate::journal::RunState;
use crate::{DefinitionKey, Lease, RunNo};

/// What the writer remembers. It changes only after SQLite has committed, and all of it can be read again from the file.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The lease, while this store has it.
    pub(super) held: Option<Held>,
    /// The runs that the lease holds. One that is missing is in `flow_history` to its last record.
    pub(super) runs: HashMap<RunNo, RunState>,
    /// The definitions that were met.
    pub(super) definitions: Definitions,
    /// How far claims have come.
    pub(super) cursor: Cursor,
    /// The queues of which this lease is known to have every run that was admitted before.
    pub(super) readmitted: HashSet<QueueName>,
    /// The size of the journal.
    pub(super) journal_bytes: usize,
}

/// A lease, and the lock under it; none while a process that is stalled has it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) lease: Lease,
    pub(super) lock: Option<LockFile>,
}

/// How far claims have come under this lease: every unfinished run up to `after` is held already or not served.
///
/// Runs only come free with the end of a lease, so what is behind the cursor need not be looked at again, and claiming
/// all runs page by page reads every one of them once.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    pub(super) serves: HashSet<DefinitionKey>,
    pub(super) after: i64,
}

impl State {
    /// Forgets what was known under a lease, together with the lease.
    pub(super) fn forget_lease(&mut self) {
        self.held = None;
        self.runs = HashMap::default();
        self.cursor = Cursor::default();
        self.readmitted = HashSet::new();
        self.journal_bytes = 0;
    }
}
