//! The right to write.

use std::time::Duration;

use fastn_core::{ExecutorId, Timestamp};

/// Asks for a lease.
#[derive(Clone, Debug)]
pub struct LeaseAsk {
    /// Who asks, for people to see.
    pub executor: ExecutorId,
    /// The present time.
    pub now: Timestamp,
    /// How long the lease lasts unless it is renewed.
    pub ttl: Duration,
}

/// The right of one executor to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whose it is.
    pub executor: ExecutorId,
    /// The fencing token: every lease of a store has a larger one than all before it.
    pub token: u64,
    /// When it ends unless it is renewed.
    pub until: Timestamp,
}
