//! Runs that are to wait for their turn.

use std::time::Duration;

use fastn_core::{QueueKey, QueueName};

use super::{Existing, NewRun, RunKey};

/// A run that is to wait in a queue.
#[derive(Clone, Debug)]
pub struct Enqueue {
    /// The run.
    pub new: NewRun,
    /// Where it waits.
    pub queue: QueueName,
    /// Whom it belongs to, for the limits that count by key.
    pub key: QueueKey,
    /// Those with larger numbers go first.
    pub priority: i16,
    /// How much longer another one must have waited to go before one whose priority is larger by one: see
    /// [`QueueRules::ageing`](crate::QueueRules::ageing).
    pub ageing: Duration,
    /// It is not admitted before this span is over.
    pub delay: Duration,
    /// What it takes of the queue's rates.
    pub cost: u32,
    /// The place that it takes, if there is to be one such run at a time.
    pub once: Option<Once>,
}

/// A place in a queue that one unfinished run of a tenant has at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    /// What it is known by, within the queue and the tenant.
    pub id: [u8; 16],
    /// What becomes of a run that finds it taken.
    pub taken: WhenTaken,
}

/// What becomes of a run that finds its place taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenTaken {
    /// It is not created.
    Stay,
    /// It is not created, and its input is the other one's from now on, which waits for the delay anew, but at most so long
    /// since it was enqueued. One that was admitted, or that runs something else, is left alone: then it is created, and
    /// the place is its own.
    PushBack(Duration),
}

/// The run that has taken a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The run.
    pub key: RunKey,
    /// As it was found.
    pub run: Existing,
}
