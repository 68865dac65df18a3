//! What hosts are told became of a dead letter.

use fastn_core::{RunId, Timestamp};

/// A dead letter was retried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retrial {
    /// The new run, of the same tenant.
    pub run: RunId,
    /// When it was started.
    pub at: Timestamp,
}

/// A dead letter needs nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dismissal {
    /// Who said so.
    pub by: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
}
