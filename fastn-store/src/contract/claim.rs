//! Runs come into the hands of a lease.

use fastn_core::Timestamp;

use super::{DefinitionKey, History, RunNo};

/// Asks for runs.
#[derive(Clone, Debug)]
pub struct ClaimAsk {
    /// The token of the lease that is to hold them.
    pub lease: u64,
    /// The present time.
    pub now: Timestamp,
    /// The definitions that the executor can run.
    pub serves: Vec<DefinitionKey>,
    /// At most so many runs.
    pub limit: u32,
}

/// A run that was claimed, with all that is recorded of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Its number, for its turns.
    pub no: RunNo,
    /// The run and its records.
    pub history: History,
    /// How many leases in a row have held it, ended without being [released](super::Store::release), and left it with as
    /// many records as it had when they got it, this far: 0 if the last one was released, or the run waited. What a run
    /// does to executors can be told from this.
    pub deaths: u32,
}
