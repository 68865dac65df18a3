//! The journal all runs of an executor share: it commits what has gathered while the previous commit ran.
//!
//! No wait is added when nothing else is going on, and under load the groups grow by themselves. A write is acknowledged
//! when the commit that holds it is durable, never before.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result};
use fastn_store::{Batch, Lease, Store, Write, Written};
use tokio::sync::Notify;
use tracing::Instrument;

use crate::clock::{Clock, pause};
use crate::flag::Flag;

/// The most writes in one commit, so that one commit's time and memory are bounded.
const MOST_WRITES: usize = 8_192;

/// A group takes no further write once it has so many bytes: a store bounds what one commit may hold, and each write may
/// be as large as the engine's largest payload.
const MOST_BYTES: usize = 16 << 20;

#[derive(Debug)]
pub(crate) struct Journal {
    store: Arc<dyn Store>,
    lease: Lease,
    clock: Arc<dyn Clock>,
    /// How long a commit is tried again while the store is unavailable.
    patience: Duration,
    queue: Mutex<Queue>,
    /// The group that is being committed.
    in_hand: Mutex<Option<Arc<Fate>>>,
    /// Something was queued, or the journal was closed.
    queued: Notify,
    halted: OnceLock<Arc<Error>>,
    /// Nothing more will be committed.
    ended: Flag,
}

#[derive(Debug, Default)]
struct Queue {
    groups: VecDeque<Group>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Group {
    writes: Vec<Write>,
    bytes: usize,
    fate: Arc<Fate>,
}

/// What became of each write of a group, or of the group as a whole.
type Results = std::result::Result<Vec<std::result::Result<Written, Arc<Error>>>, Arc<Error>>;

/// What became of a group.
#[derive(Debug, Default)]
struct Fate {
    results: OnceLock<Results>,
    known: Notify,
}

impl Group {
    const fn is_full(&self) -> bool {
        self.writes.len() >= MOST_WRITES || self.bytes >= MOST_BYTES
    }
}

/// A write on its way.
#[derive(Clone)]
#[must_use = "the write is durable only when the ticket says so"]
pub(crate) struct Ticket {
    fate: Arc<Fate>,
    place: usize,
}

impl Ticket {
    /// Whether the write is known to be durable.
    pub(crate) fn is_durable(&self) -> bool {
        let results = self.fate.results.get().and_then(|results| results.as_ref().ok());
        results.is_some_and(|results| matches!(results.get(self.place), Some(Ok(_))))
    }

    /// Waits until the write is durable.
    pub(crate) async fn durable(self) -> Result<Written> {
        loop {
            // Registered before looking, so that a wake-up in between is not missed.
            let known = self.fate.known.notified();
            tokio::pin!(known);
            known.as_mut().enable();
            if let Some(results) = self.fate.results.get() {
                return match results {
                    Ok(results) => match results.get(self.place) {
                        Some(Ok(written)) => Ok(written.clone()),
                        Some(Err(error)) => Err(shared(error)),
                        None => Err(Error::new(ErrorKind::Internal, "commit").caused_by("the store forgot a write")),
                    },
                    Err(error) => Err(shared(error)),
                };
            }
            known.await;
        }
    }
}

/// Whether an error says something about a write, and nothing about the store.
fn is_of_one_write(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge)
}

/// The size of a write, as far as hosts choose it.
fn size_of(write: &Write) -> usize {
    match write {
        Write::Create(new) => new.input.len(),
        Write::Turn(turn) => turn.records.len(),
        _ => 0,
    }
}

/// An error that many are told of.
fn shared(error: &Arc<Error>) -> Error {
    Error::new(error.kind(), "commit").caused_by(SharedError(error.clone()))
}

#[derive(Debug)]
struct SharedError(Arc<Error>);

impl std::fmt::Display for SharedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SharedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl Journal {
    pub(crate) fn new(store: Arc<dyn Store>, lease: Lease, clock: Arc<dyn Clock>, patience: Duration) -> Self {
        Self {
            store,
            lease,
            clock,
            patience,
            queue: Mutex::default(),
            in_hand: Mutex::default(),
            queued: Notify::new(),
            halted: OnceLock::new(),
            ended: Flag::default(),
        }
    }

    /// Queues a write. Writes become durable in the order in which they were queued.
    pub(crate) fn append(&self, write: Write) -> Ticket {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.closed {
            let error = self.halted.get().cloned();
            let error = error.unwrap_or_else(|| Arc::new(Error::new(ErrorKind::Closed, "commit")));
            let fate = Arc::new(Fate::default());
            let _ = fate.results.set(Err(error));
            return Ticket { fate, place: 0 };
        }
        if queue.groups.back().is_none_or(Group::is_full) {
            queue.groups.push_back(Group::default());
        }
        let Some(group) = queue.groups.back_mut() else {
            // A group was just made sure of.
            return Ticket { fate: Arc::default(), place: 0 };
        };
        group.bytes = group.bytes.saturating_add(size_of(&write));
        group.writes.push(write);
        let ticket = Ticket { fate: group.fate.clone(), place: group.writes.len() - 1 };
        drop(queue);
        self.queued.notify_one();
        ticket
    }

    /// Why the journal gave up, if it did.
    pub(crate) fn halted(&self) -> Option<&Arc<Error>> {
        self.halted.get()
    }

    /// No more writes are taken; those that were are committed, and then [`Journal::run`] returns.
    pub(crate) fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.queued.notify_one();
    }

    /// Completes when nothing more will be committed.
    pub(crate) async fn ended(&self) {
        self.ended.raised().await;
    }

    /// Commits what is queued, until the journal is closed or the store fails for good.
    pub(crate) async fn run(&self) -> std::result::Result<(), Arc<Error>> {
        let _ended = self.ended.raise_at_end();
        loop {
            let (group, closed) = {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                (queue.groups.pop_front(), queue.closed)
            };
            let Some(group) = group else {
                if closed {
                    return Ok(());
                }
                self.queued.notified().await;
                continue;
            };
            self.set_in_hand(Some(group.fate.clone()));
            let results = match self.commit(group.writes).await {
                Ok(results) => Ok(results),
                Err(error) => Err(self.halt(Arc::new(error))),
            };
            self.set_in_hand(None);
            let failed = results.as_ref().err().cloned();
            let _ = group.fate.results.set(results);
            group.fate.known.notify_waiters();
            if let Some(error) = failed {
                return Err(error);
            }
        }
    }

    fn set_in_hand(&self, fate: Option<Arc<Fate>>) -> Option<Arc<Fate>> {
        std::mem::replace(&mut *self.in_hand.lock().unwrap_or_else(PoisonError::into_inner), fate)
    }

    /// Takes no more writes and fails those that are queued or were being committed.
    pub(crate) fn halt(&self, error: Arc<Error>) -> Arc<Error> {
        let _ = self.halted.set(error.clone());
        let groups = {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.closed = true;
            std::mem::take(&mut queue.groups)
        };
        for fate in self.set_in_hand(None).into_iter().chain(groups.into_iter().map(|group| group.fate)) {
            let _ = fate.results.set(Err(error.clone()));
            fate.known.notify_waiters();
        }
        error
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<std::result::Result<Written, Arc<Error>>>> {
        let span = tracing::debug_span!("store.commit", writes = writes.len(), outcome = tracing::field::Empty);
        async {
            let count = writes.len();
            let result = match self.commit_patiently(&writes).await {
                Ok(written) => Ok(written.into_iter().map(Ok).collect()),
                // One run's bad write must not fail the others: each is tried by itself.
                Err(error) if count > 1 && is_of_one_write(&error) => self.commit_singly(writes).await,
                Err(error) if is_of_one_write(&error) => Ok(vec![Err(Arc::new(error))]),
                Err(error) => Err(error),
            };
            let outcome = if let Err(error) = &result { error.kind().as_str() } else { "succeeded" };
            tracing::Span::current().record("outcome", outcome);
            result
        }
        .instrument(span)
        .await
    }

    async fn commit_singly(&self, writes: Vec<Write>) -> Result<Vec<std::result::Result<Written, Arc<Error>>>> {
        let mut results = Vec::with_capacity(writes.len());
        for write in writes {
            results.push(match self.commit_patiently(&[write]).await {
                Ok(mut written) => Ok(written.pop().unwrap_or(Written::Turned)),
                Err(error) if is_of_one_write(&error) => Err(Arc::new(error)),
                Err(error) => return Err(error),
            });
        }
        Ok(results)
    }

    /// Commits, trying again with growing waits while the store is unavailable and patience lasts.
    async fn commit_patiently(&self, writes: &[Write]) -> Result<Vec<Written>> {
        let began = self.clock.uptime();
        let mut wait = Duration::from_millis(5);
        loop {
            let batch = Batch { lease: Some(self.lease.token), now: self.clock.now(), writes: writes.to_vec() };
            match self.store.commit(batch).await {
                Err(error) if error.is_transient() && self.clock.uptime().saturating_sub(began) < self.patience => {
                    tracing::warn!(error = ?error, "the store is unavailable; trying again");
                    pause(&*self.clock, wait).await;
                    wait = (wait * 2).min(Duration::from_secs(1));
                }
                result => return result,
            }
        }
    }
}
