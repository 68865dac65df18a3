//! What a commit is about to make true.

use crate::RunNo;
use crate::journal::Draft;

/// A batch that was judged, and what is to be remembered once it is true.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) seq: i64,
    pub(super) draft: Draft,
    pub(super) created: Vec<RunNo>,
    /// Those that get a row in `flow_open`.
    pub(super) opened: Vec<RunNo>,
    /// The size of what is appended to the journal.
    pub(super) appended: usize,
    /// Whether the journal is cleared.
    pub(super) folded: bool,
}
