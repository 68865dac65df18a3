//! The SQLite store as its callers see it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use fastn_core::{EntryKind, Result, TenantId, Timestamp};
use tokio::sync::oneshot;

use super::entries;
use super::options::SqliteOptions;
use super::reader::Reader;
use super::retire::Place;
use super::worker::Worker;
use super::writer::{Queue, Request, Writer};
use crate::board::Board;
use crate::standing::closed;
use crate::{
    Batch, ClaimAsk, Claimed, DefinitionKey, Entry, EntryKey, History, Lease, LeaseAsk, Page, Put, Repository, RunKey,
    RunQuery, Scan, Store, Then, Turn, Write, Written,
};

/// Keeps runs in an SQLite database.
///
/// One executor at a time continues runs, in whichever process; a lock on the file `<database>.lock` keeps others out
/// and goes with the process. One that is stalled for longer than its lease is taken over from all the same, and commits
/// nothing more. Any number of processes may create, read and list runs and send messages to them at the same
/// time, and each hears within some 30 ms what another did. The database
/// must be on a local disk, as SQLite asks for.
///
/// Batches that are committed at the same time share a transaction. Dropping the store without
/// [`close`](Store::close) waits for what is under way, blocking the thread.
pub struct SqliteStore {
    path: PathBuf,
    queue: Arc<Queue>,
    pub(super) board: Arc<Board>,
    // Before the writer, so that the writer's connection is the last to go: it leaves the database in one file.
    pub(super) reader: Worker<Reader>,
    pub(super) writer: Worker<Writer>,
}

impl SqliteStore {
    /// Opens the database at a path; creates it if there is none.
    ///
    /// # Errors
    /// [`NotFound`](fastn_core::ErrorKind::NotFound) if the folder is missing;
    /// [`Invalid`](fastn_core::ErrorKind::Invalid) if the path is no file that can be written to;
    /// [`Corrupt`](fastn_core::ErrorKind::Corrupt) if the file is no database, belongs to another program, or has
    /// another schema than its version says;
    /// [`Unsupported`](fastn_core::ErrorKind::Unsupported) if it was written by a newer fastn, or the file system cannot
    /// give the durability that was asked for.
    pub async fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let queue = Arc::new(Queue::default());
        let board = Arc::new(Board::default());
        let (database, waiting, told) = (path.clone(), Arc::clone(&queue), Arc::clone(&board));
        let open = move || Writer::open(&database, &options, waiting, told);
        let writer = Worker::start("fastn-sqlite-writer", open).await?;
        let database = path.clone();
        let reader = Worker::start("fastn-sqlite-reader", move || Reader::open(&database)).await?;
        Ok(Self { path, queue, board, reader, writer })
    }

    /// Does now what is done each hour: deletes the runs that are no longer kept, as [`SqliteOptions::retention`] says. Gives
    /// how many there were.
    ///
    /// # Contract
    /// Whoever commits meanwhile waits for a few of them at most. What has not ended is left alone.
    ///
    /// # Errors
    /// What SQLite says. Those that were deleted before are gone.
    ///
    /// # Cancel safety
    /// Safe: what is left is for the next time.
    pub async fn keep_up(&self) -> Result<u64> {
        let (mut gone, mut after) = (0, Place::FIRST);
        loop {
            let (runs, next) = self.writer.ask(move |writer| writer.retire(after)).await?;
            gone += runs;
            match next {
                Some(next) => after = next,
                None => return Ok(gone),
            }
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteStore({})", self.path.display())
    }
}

/// Tells the writer that something waits to be committed. Where there is no writer any more, nothing waits for it.
struct Reminder(Option<Arc<Queue>>);

impl Reminder {
    fn heed(mut self, writer: &mut Writer) {
        self.0 = None;
        writer.commit_waiting();
    }
}

impl Drop for Reminder {
    fn drop(&mut self) {
        if let Some(queue) = &self.0 {
            // Whoever waits for an answer learns that there will be none.
            queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}

#[async_trait]
impl Repository for SqliteStore {
    async fn get(&self, key: &EntryKey) -> Result<Option<Entry>> {
        let key = key.clone();
        self.reader.ask(move |reader| entries::get(reader.conn(), &key)).await
    }

    async fn put(&self, put: Put) -> Result<u64> {
        self.writer.ask(move |writer| writer.put(&put)).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>> {
        self.reader.ask(move |reader| entries::scan(reader.conn(), &scan)).await
    }

    async fn latest(&self, kind: &EntryKind) -> Result<u64> {
        let kind = kind.clone();
        self.reader.ask(move |reader| entries::latest(reader.conn(), &kind)).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn name(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }

    async fn acquire(&self, ask: LeaseAsk) -> Result<Lease> {
        self.writer.ask(move |writer| writer.acquire(ask)).await
    }

    async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<()> {
        let lease = lease.clone();
        self.writer.ask(move |writer| writer.renew(&lease, until)).await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        let lease = lease.clone();
        self.writer.ask(move |writer| writer.release(&lease)).await?;
        self.board.tell_runs();
        self.board.tell_queues();
        Ok(())
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<Written>> {
        let ends = |write: &Write| matches!(write, Write::Turn(Turn { then: Then::End(_), .. }));
        let (lease, ends) = (batch.lease, batch.writes.iter().any(ends));
        let (reply, answer) = oneshot::channel();
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(Request { batch, reply });
        let reminder = Reminder(Some(Arc::clone(&self.queue)));
        self.writer.send(Box::new(move |writer| reminder.heed(writer)))?;
        let written = answer.await.unwrap_or_else(|_| Err(closed()))?;
        if ends {
            self.board.tell_ends();
        }
        if lease.is_none() {
            self.board.tell_runs();
        }
        Ok(written)
    }

    async fn claim(&self, ask: ClaimAsk) -> Result<Vec<Claimed>> {
        self.writer.ask(move |writer| writer.claim(ask)).await
    }

    async fn read(&self, run: &RunKey) -> Result<Option<History>> {
        let run = run.clone();
        self.reader.ask(move |reader| reader.read(&run)).await
    }

    async fn plan(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<Option<String>> {
        let (tenant, definition) = (tenant.clone(), definition.clone());
        self.reader.ask(move |reader| reader.plan(&tenant, &definition)).await
    }

    async fn list(&self, query: RunQuery) -> Result<Page> {
        self.reader.ask(move |reader| reader.list(&query)).await
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64> {
        self.writer.ask(move |writer| writer.prune(before, limit)).await
    }

    async fn close(&self) -> Result<()> {
        self.board.close();
        self.reader.stop().await?;
        self.writer.stop().await
    }
}
