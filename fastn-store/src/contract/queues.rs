//! Runs that wait are admitted.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fastn_core::{QueueKey, QueueName, Result, Timestamp};

use super::{Claimed, DefinitionKey, RunKey, RunStatus, Suspects};

/// Asks for runs of a queue.
#[derive(Clone, Debug)]
pub struct AdmitAsk {
    /// The token of the lease that is to hold them.
    pub lease: u64,
    /// The present time.
    pub now: Timestamp,
    /// The queue.
    pub queue: QueueName,
    /// The definitions that the executor can run.
    pub serves: Vec<DefinitionKey>,
    /// At most so many runs.
    pub limit: u32,
    /// Of these at most so many.
    pub suspects: Suspects,
}

/// What was admitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// The runs, in the order in which they were admitted. Those that were admitted before, and whose lease has ended, come
    /// first.
    pub runs: Vec<Claimed>,
    /// After which span more may be admitted though nothing else happens: a delay is over, or a rate has room again. Zero
    /// if there was only no room in the answer.
    pub again_in: Option<Duration>,
}

/// Ends a run of which nothing has begun.
#[derive(Clone, Debug)]
pub struct Withdraw {
    /// The present time.
    pub now: Timestamp,
    /// The run.
    pub run: RunKey,
    /// How it ends.
    pub status: RunStatus,
    /// What is recorded of it: a CBOR sequence, see [`Record`](fastn_core::Record). The last one is
    /// [`Finished`](fastn_core::Event::Finished).
    pub records: Bytes,
    /// How many records there are.
    pub count: u32,
}

/// How full a queue is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// How many runs wait: all that were not admitted, those whose delay is not over included.
    pub waiting: u64,
    /// How many have been admitted and have not ended.
    pub running: u64,
    /// The same by key, those keys first that have most waiting, then most running; at most as many as asked for.
    pub keys: Vec<QueueBusy>,
}

/// How much there is of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueBusy {
    /// The key.
    pub key: QueueKey,
    /// How many runs wait.
    pub waiting: u64,
    /// How many have been admitted and have not ended.
    pub running: u64,
}

/// Admits runs of queues. What a queue allows is an entry of the [`Repository`](super::Repository), of the default tenant and
/// the kind [`QUEUE`](crate::QUEUE), that says its [`QueueRules`](crate::QueueRules).
///
/// # Contract
/// * A run that was [enqueued](super::Write::Enqueue) is in nobody's hands until it is admitted, and no
///   [claim](super::Store::claim) gives it.
/// * [`admit`](Queues::admit) decides by the rules that are in force and by nothing else, in one atomic step with putting the
///   runs into the lease's hands, whoever else admits at the same time in whichever process. **No limit is ever exceeded**:
///   of all runs, of those of a key, of those in the hands of one lease, and of each rate. A limit that is lowered below what
///   runs already takes effect as those end.
/// * A run has its place from its admission to its end, also while it waits, and while its executor is dead. Then it is
///   admitted again, as soon as the lease has ended, ahead of all others, and counts no second time but for the limit of the
///   executor that gets it. Those who died over it are counted as [claims](super::Store::claim) count them.
/// * Ending a run frees its place in the same commit, and is news for those who admit.
/// * A queue without rules admits nothing.
///
/// # Errors
/// Of every method: those of every method of [`Store`](super::Store), and [`Corrupt`](fastn_core::ErrorKind::Corrupt) if the
/// queue's rules cannot be read.
#[async_trait]
pub trait Queues: fmt::Debug + Send + Sync + 'static {
    /// Puts runs of a queue into the hands of a lease, as its rules allow.
    ///
    /// # Errors
    /// [`Fenced`](fastn_core::ErrorKind::Fenced) if the lease has ended.
    async fn admit(&self, ask: AdmitAsk) -> Result<Admitted>;

    /// Ends a run that nobody has ever had, whether or not it waits in a queue: no lease has held it, so nothing has begun, and
    /// whoever asks need know nothing of what it runs. What it was in line for goes on without it. Whether it did: not if
    /// there is no such run, or it has ended, or somebody has it or has had it.
    ///
    /// # Errors
    /// [`Invalid`](fastn_core::ErrorKind::Invalid) if it would not end.
    async fn withdraw(&self, ask: Withdraw) -> Result<bool>;

    /// Tells which queues may have something to admit: those that have runs which wait, unless the queue is paused or all its
    /// places are taken, and those that have runs which were admitted under a lease that has ended.
    async fn waiting(&self) -> Result<Vec<QueueName>>;

    /// Tells how full a queue is, and this many keys of it.
    async fn counts(&self, queue: &QueueName, keys: u32) -> Result<QueueCounts>;
}
