//! What becomes true together.

use std::sync::Arc;

use bytes::Bytes;
use fastn_core::Timestamp;

use super::{Enqueue, Existing, NewRun, RunKey, RunNo, RunStatus, Taken};

/// Writes that must become true together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The token of the lease under which turns are written and new runs are held. Without one, only runs can be
    /// created, and nobody holds them.
    pub lease: Option<u64>,
    /// The present time.
    pub now: Timestamp,
    /// The writes.
    pub writes: Vec<Write>,
}

/// One write of a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Write {
    /// A new run.
    Create(Arc<NewRun>),
    /// A new run that waits in a queue. Nobody holds it before it is [admitted](super::Queues::admit), whatever lease the
    /// batch is under.
    Enqueue(Arc<Enqueue>),
    /// Something happened in a run.
    Turn(Turn),
}

/// Records that are added to a run, and what is to be next.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The run.
    pub run: RunNo,
    /// The sequence number of its first record here.
    pub first: u64,
    /// How many records there are.
    pub count: u32,
    /// The records: a CBOR sequence, see [`Record`](fastn_core::Record).
    pub records: Bytes,
    /// What is next for the run.
    pub then: Then,
}

/// What is next for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Then {
    /// It goes on at once.
    Run,
    /// Nothing happens before this time, unless something comes from outside.
    Wait(Timestamp),
    /// It has ended in this way: nobody holds it any more. The last record is
    /// [`Finished`](fastn_core::Event::Finished).
    End(RunStatus),
}

impl Then {
    /// Before when nothing happens by itself, if it waits.
    pub const fn wakes_at(self) -> Option<Timestamp> {
        match self {
            Self::Wait(until) => Some(until),
            Self::Run | Self::End(_) => None,
        }
    }
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Written {
    /// The run was created.
    Created(RunNo),
    /// There is a run of that id already; nothing was written. The caller compares.
    Exists(Box<Existing>),
    /// Nothing was created: another run has taken the [place](super::Once) that there is once.
    Taken(Box<Taken>),
    /// The [item](super::Join) is in this run, since now or before.
    Joined(Box<RunKey>),
    /// The turn was written, now or before.
    Turned,
}
