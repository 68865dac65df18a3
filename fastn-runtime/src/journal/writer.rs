//! The journal, and the tasks that commit what is queued.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Record, Result};
use fastn_store::{Batch, Lease, NewRun, Store, Turn, Write, Written};
use tracing::Instrument;

use super::group::{Entry, Group};
use super::lane::Lane;
use super::ticket::{Notes, Ticket};
use crate::clock::Clock;
use crate::flag::Flag;
use crate::patience::patiently;

#[derive(Debug)]
pub(crate) struct Journal {
    store: Arc<dyn Store>,
    lease: Lease,
    clock: Arc<dyn Clock>,
    /// How long a commit is tried again while the store is unavailable.
    patience: Duration,
    /// As many as the store makes good use of commits at once. A run keeps to one, by its number.
    lanes: Box<[Lane]>,
    /// Beside several, the way of new runs whose ids hosts have chosen: one that has to wait for somebody else's transaction
    /// of the same id keeps only such as itself waiting.
    named: Option<Lane>,
    /// Which lane the next new run goes by, which has no number yet.
    creations: AtomicUsize,
    /// How many lanes have not ended.
    left: AtomicUsize,
    halted: OnceLock<Arc<Error>>,
    /// Nothing more will be committed.
    ended: Flag,
}

/// A lane that ends, however it does.
struct Leaving<'a>(&'a Journal);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if self.0.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ended.raise();
        }
    }
}

impl Journal {
    pub(crate) fn new(store: Arc<dyn Store>, lease: Lease, clock: Arc<dyn Clock>, patience: Duration) -> Self {
        let lanes: Box<[Lane]> = (0..store.commits_at_once().max(1)).map(|_| Lane::default()).collect();
        let named = (lanes.len() > 1).then(Lane::default);
        Self {
            store,
            lease,
            clock,
            patience,
            creations: AtomicUsize::new(0),
            left: AtomicUsize::new(lanes.len() + usize::from(named.is_some())),
            lanes,
            named,
            halted: OnceLock::new(),
            ended: Flag::default(),
        }
    }

    /// Queues the creation of a run. What is to follow from it waits until it is durable.
    pub(crate) fn create(&self, new: Arc<NewRun>) -> Ticket {
        let size = new.input.len();
        let lane = match &self.named {
            Some(named) if !new.key.run.is_drawn() => Some(named),
            _ => self.lanes.get(self.creations.fetch_add(1, Ordering::Relaxed) % self.lanes.len().max(1)),
        };
        self.append(lane, |group| {
            group.bytes = group.bytes.saturating_add(size);
            Entry::Create(new)
        })
    }

    /// Queues a turn with these records. Those of one run become durable in the order in which they were queued.
    ///
    /// # Errors
    /// If a record cannot be encoded; then nothing was queued.
    pub(crate) fn turn(&self, turn: Turn, records: &[Record]) -> Result<Ticket> {
        let lane = usize::try_from(turn.run.0 % u64::try_from(self.lanes.len()).unwrap_or(u64::MAX)).ok();
        // Encoded before the lane is locked, which all runs share.
        encoded(records, |bytes| {
            self.append(lane.and_then(|lane| self.lanes.get(lane)), |group| {
                group.records.extend_from_slice(bytes);
                group.bytes = group.bytes.saturating_add(bytes.len());
                Entry::Turn { turn, end: group.records.len() }
            })
        })
    }

    /// How many lanes there are.
    pub(crate) fn lanes(&self) -> usize {
        self.all().count()
    }

    fn all(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().chain(&self.named)
    }

    fn append(&self, lane: Option<&Lane>, entry: impl FnOnce(&mut Group) -> Entry) -> Ticket {
        lane.and_then(|lane| lane.append(entry)).unwrap_or_else(|| {
            let error = self.halted.get().cloned();
            Ticket::failed(error.unwrap_or_else(|| Arc::new(Error::new(ErrorKind::Closed, "commit"))))
        })
    }

    /// No more writes are taken; those that were are committed, and then [`Journal::run`] returns.
    pub(crate) fn close(&self) {
        self.all().for_each(Lane::close);
    }

    /// Completes when nothing more will be committed.
    pub(crate) async fn ended(&self) {
        self.ended.raised().await;
    }

    /// Commits what is queued in one lane, until the journal is closed or the store fails for good. Each lane is to be run
    /// once.
    pub(crate) async fn run(&self, lane: usize) -> std::result::Result<(), Arc<Error>> {
        let _leaving = Leaving(self);
        let Some(lane) = self.all().nth(lane) else { return Ok(()) };
        while let Some(group) = lane.next().await {
            let fate = group.fate.clone();
            let results = match self.commit(group.into_writes()).await {
                Ok(results) => Ok(results),
                Err(error) => Err(self.halt(Arc::new(self.given_up(error)))),
            };
            let failed = results.as_ref().err().cloned();
            fate.decide(results);
            if let Some(error) = failed {
                return Err(error);
            }
        }
        Ok(())
    }

    /// What an error that ends the journal means to the engine. A store that comes back is waited for, but not under this
    /// lease: it has run out while patience lasted, and what is in memory here may be out of date by then.
    fn given_up(&self, error: Error) -> Error {
        if !error.is_transient() || !self.store.comes_back() {
            return error;
        }
        tracing::error!(token = self.lease.token, error = ?error, "the store is away; the lease is given up");
        Error::new(ErrorKind::Fenced, "commit").caused_by(error)
    }

    /// Takes no more writes and fails those that are queued or were being committed.
    pub(crate) fn halt(&self, error: Arc<Error>) -> Arc<Error> {
        let _ = self.halted.set(error.clone());
        self.abandon(&error);
        error
    }

    /// Takes no more writes and tells everybody who waits for one that it is not known to be durable.
    pub(crate) fn abandon(&self, error: &Arc<Error>) {
        self.all().for_each(|lane| lane.abandon(error));
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Notes> {
        let span = tracing::debug_span!("store.commit", writes = writes.len(), outcome = tracing::field::Empty);
        async {
            let count = writes.len();
            let result = match self.commit_patiently(&writes).await {
                Ok(written) if written.len() == count => Ok(of_note(written.into_iter().map(Ok))),
                Ok(_) => Err(Error::new(ErrorKind::Internal, "commit").caused_by("the store forgot a write")),
                // One run's bad write must not fail the others: each is tried by itself.
                Err(error) if count > 1 && is_of_one_write(&error) => self.commit_singly(writes).await,
                Err(error) if is_of_one_write(&error) => Ok(vec![(0, Err(Arc::new(refused(error))))]),
                Err(error) => Err(error),
            };
            let outcome = if let Err(error) = &result { error.kind().as_str() } else { "succeeded" };
            tracing::Span::current().record("outcome", outcome);
            result
        }
        .instrument(span)
        .await
    }

    async fn commit_singly(&self, writes: Vec<Write>) -> Result<Notes> {
        let mut results = Vec::with_capacity(writes.len());
        for write in writes {
            results.push(match self.commit_patiently(&[write]).await {
                Ok(mut written) => Ok(written.pop().unwrap_or(Written::Turned)),
                Err(error) if is_of_one_write(&error) => {
                    tracing::error!(error = ?error, "the store refuses a write");
                    Err(Arc::new(refused(error)))
                }
                Err(error) => return Err(error),
            });
        }
        Ok(of_note(results.into_iter()))
    }

    /// Commits, trying again with growing waits while the store is unavailable and patience lasts.
    async fn commit_patiently(&self, writes: &[Write]) -> Result<Vec<Written>> {
        let batch = || Batch { lease: Some(self.lease.token), now: self.clock.now(), writes: writes.to_vec() };
        patiently(&*self.clock, self.patience, || self.store.commit(batch())).await
    }
}

/// The largest buffer that a thread keeps for the records of its next turn, in bytes.
const KEPT: usize = 64 << 10;

/// Encodes records one after the other.
fn encoded<T>(records: &[Record], then: impl FnOnce(&[u8]) -> T) -> Result<T> {
    thread_local!(static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) });
    let mut bytes = BUFFER.take();
    bytes.clear();
    let done = records.iter().try_for_each(|record| record.append_to(&mut bytes)).map(|()| then(&bytes));
    if bytes.capacity() <= KEPT {
        BUFFER.set(bytes);
    }
    done
}

/// Whether an error says something about a write, and nothing about the store.
fn is_of_one_write(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::Locked)
}

/// What whoever wanted a write is told. What somebody else holds just now may be free later.
fn refused(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Locked => Error::new(ErrorKind::Unavailable, "commit").caused_by(error),
        _ => error,
    }
}

/// What became of writes that were not simply turned, with their places.
fn of_note(results: impl Iterator<Item = std::result::Result<Written, Arc<Error>>>) -> Notes {
    results.enumerate().filter(|(_, result)| !matches!(result, Ok(Written::Turned))).collect()
}
