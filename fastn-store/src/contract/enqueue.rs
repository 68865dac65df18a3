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
    /// Its input is an item of the run that has the place.
    Join(Join),
}

/// How items become one run: its input is the list of its items, a JSON array in the order in which they came.
///
/// # Contract
/// * An item goes into the run that has the place, which waits for its delay since its first item came, or until nothing more
///   can go into it. If that run was admitted, runs something else, or has no room for the item, it gives the place up, and
///   the item is the first of a run of its own. A run that gathers is pushed back by nobody:
///   it gives the place up as well, and waits no longer.
/// * An item is in one run, once, whoever adds it again: it is known for as long as the run is kept that it went into.
/// * Nothing goes into a run once it was admitted or withdrawn. Before that it is read with the items that it has.
/// * The run has the largest priority of its items, and costs as much as all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join {
    /// What the item is known by, within the queue and the tenant.
    pub item: [u8; 16],
    /// At most so many items, and at least one.
    pub most: u32,
    /// A list of at most so many bytes, or of one item.
    pub bytes: u64,
}

/// The run that has taken a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The run.
    pub key: RunKey,
    /// As it was found.
    pub run: Existing,
}
