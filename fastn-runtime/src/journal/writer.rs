//! The queue of writes, and the task that commits them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Record, Result};
use fastn_store::{Batch, Lease, NewRun, Store, Turn, Write, Written};
use tokio::sync::Notify;
use tracing::Instrument;

use super::group::{Entry, Group, Size};
use super::ticket::{Fate, Notes, Ticket};
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
    queue: Mutex<Queue>,
    /// Something was queued, or the journal was closed.
    queued: Notify,
    halted: OnceLock<Arc<Error>>,
    /// Nothing more will be committed.
    ended: Flag,
}

#[derive(Debug, Default)]
struct Queue {
    groups: VecDeque<Group>,
    /// What will become of the group that is being committed.
    in_hand: Option<Arc<Fate>>,
    closed: bool,
    /// Nobody takes groups until there is news.
    idle: bool,
    /// The size of the group that was last taken, from which the next will not differ much.
    last: Size,
}

impl Journal {
    pub(crate) fn new(store: Arc<dyn Store>, lease: Lease, clock: Arc<dyn Clock>, patience: Duration) -> Self {
        Self {
            store,
            lease,
            clock,
            patience,
            queue: Mutex::default(),
            queued: Notify::new(),
            halted: OnceLock::new(),
            ended: Flag::default(),
        }
    }

    /// Queues the creation of a run. Writes become durable in the order in which they were queued.
    pub(crate) fn create(&self, new: Arc<NewRun>) -> Ticket {
        let size = new.input.len();
        self.append(|group| {
            group.bytes = group.bytes.saturating_add(size);
            Ok(Entry::Create(new))
        })
        .unwrap_or_else(|error| Ticket::failed(Arc::new(error)))
    }

    /// Queues a turn with these records.
    ///
    /// # Errors
    /// If a record cannot be encoded; then nothing was queued.
    pub(crate) fn turn(&self, turn: Turn, records: &[Record]) -> Result<Ticket> {
        self.append(|group| {
            let begin = group.records.len();
            if let Err(error) = records.iter().try_for_each(|record| record.append_to(&mut group.records)) {
                group.records.truncate(begin);
                return Err(error);
            }
            group.bytes = group.bytes.saturating_add(group.records.len() - begin);
            Ok(Entry::Turn { turn, end: group.records.len() })
        })
    }

    fn append(&self, entry: impl FnOnce(&mut Group) -> Result<Entry>) -> Result<Ticket> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.closed {
            let error = self.halted.get().cloned();
            return Ok(Ticket::failed(error.unwrap_or_else(|| Arc::new(Error::new(ErrorKind::Closed, "commit")))));
        }
        if queue.groups.back().is_none_or(Group::is_full) {
            let group = Group::like(&queue.last);
            queue.groups.push_back(group);
        }
        let made_sure_of = || Error::new(ErrorKind::Internal, "commit");
        let group = queue.groups.back_mut().ok_or_else(made_sure_of)?;
        let entry = entry(group)?;
        group.entries.push(entry);
        let ticket = Ticket { fate: group.fate.clone(), place: group.entries.len() - 1 };
        let idle = std::mem::take(&mut queue.idle);
        drop(queue);
        if idle {
            self.queued.notify_one();
        }
        Ok(ticket)
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
                let group = queue.groups.pop_front();
                queue.last = group.as_ref().map_or(queue.last, Group::size);
                // At once, so that there is no moment in which nobody would decide its fate.
                queue.in_hand = group.as_ref().map(|group| group.fate.clone());
                queue.idle = group.is_none();
                (group, queue.closed)
            };
            let Some(group) = group else {
                if closed {
                    return Ok(());
                }
                self.queued.notified().await;
                continue;
            };
            let fate = group.fate.clone();
            let results = match self.commit(group.into_writes()).await {
                Ok(results) => Ok(results),
                Err(error) => Err(self.halt(Arc::new(error))),
            };
            let failed = results.as_ref().err().cloned();
            fate.decide(results);
            if let Some(error) = failed {
                return Err(error);
            }
        }
    }

    /// Takes no more writes and fails those that are queued or were being committed.
    pub(crate) fn halt(&self, error: Arc<Error>) -> Arc<Error> {
        let _ = self.halted.set(error.clone());
        self.abandon(&error);
        error
    }

    /// Takes no more writes and tells everybody who waits for one that it is not known to be durable.
    pub(crate) fn abandon(&self, error: &Arc<Error>) {
        let (in_hand, groups) = {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.closed = true;
            (queue.in_hand.take(), std::mem::take(&mut queue.groups))
        };
        for fate in in_hand.into_iter().chain(groups.into_iter().map(|group| group.fate)) {
            fate.decide(Err(error.clone()));
        }
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
                Err(error) if is_of_one_write(&error) => Ok(vec![(0, Err(Arc::new(error)))]),
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
                    Err(Arc::new(error))
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

/// Whether an error says something about a write, and nothing about the store.
fn is_of_one_write(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge)
}

/// What became of writes that were not simply turned, with their places.
fn of_note(results: impl Iterator<Item = std::result::Result<Written, Arc<Error>>>) -> Notes {
    results.enumerate().filter(|(_, result)| !matches!(result, Ok(Written::Turned))).collect()
}
