//! Copying the write-ahead log into the database, beside the commits.
//!
//! SQLite does that as part of a commit, which then takes as long as it takes to write and to sync all that the log has. Here
//! a thread of its own copies most of it while commits go on; the writer copies what came since, which is little, and then
//! the log begins anew.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use fastn_core::{Error, ErrorKind, Result};
use rusqlite::Connection;

use super::connection::open_copier;
use super::options::SqliteOptions;

/// So many bytes are written before they are copied.
const LOG_BYTES: usize = 16 << 20;

/// What a commit writes at least: the page that it changes last is written whole.
const PAGE: usize = 8 << 10;

#[derive(Default)]
pub(super) struct Checkpointer {
    /// How much was written since the log was last copied, about.
    written: usize,
    /// There from the first time that there is enough to copy.
    copier: Option<Copier>,
}

/// A thread that copies when it is asked to.
struct Copier {
    /// Whether it was asked and has not been found done.
    asked: bool,
    /// What was asked for is done.
    done: Arc<AtomicBool>,
    /// `None` once it is to end.
    asks: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Something was committed, of this many bytes.
    pub(super) fn committed(&mut self, bytes: usize, database: &Path, options: &SqliteOptions) {
        self.written = self.written.saturating_add(bytes).saturating_add(PAGE);
        if self.written < LOG_BYTES || self.copier.as_ref().is_some_and(|copier| copier.asked) {
            return;
        }
        self.written = 0;
        if self.copier.is_none() {
            match Copier::start(database, options) {
                Ok(copier) => self.copier = Some(copier),
                // A commit does it when the log is long enough.
                Err(error) => tracing::warn!(%error, "the write-ahead log is not copied beside the commits"),
            }
        }
        if let Some(copier) = &mut self.copier {
            // It takes one ask at a time, and has none.
            copier.asked = copier.asks.as_ref().is_some_and(|asks| asks.try_send(()).is_ok());
        }
    }

    /// To be called before a transaction: copies what came while most was copied.
    pub(super) fn finish(&mut self, conn: &Connection) {
        if let Some(copier) = &mut self.copier
            && copier.asked
            && copier.done.swap(false, Ordering::AcqRel)
        {
            copier.asked = false;
            copy(conn);
        }
    }
}

impl Copier {
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if the system gives no thread, and those of opening the database.
    fn start(database: &Path, options: &SqliteOptions) -> Result<Self> {
        let conn = open_copier(database, options)?;
        let (asks, to_do) = sync_channel(1);
        let done = Arc::new(AtomicBool::new(false));
        let said = done.clone();
        let thread = std::thread::Builder::new()
            .name("fastn-sqlite-checkpoint".to_owned())
            .spawn(move || work(&conn, &to_do, &said))
            .map_err(|e| Error::new(ErrorKind::Unavailable, "start thread").caused_by(e))?;
        Ok(Self { asked: false, done, asks: Some(asks), thread: Some(thread) })
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            // A panic was reported by the panic hook; there is nobody here who could do more.
            let _ = thread.join();
        }
    }
}

fn work(conn: &Connection, asks: &Receiver<()>, done: &AtomicBool) {
    while asks.recv().is_ok() {
        // What came during the first is copied by the second.
        copy(conn);
        copy(conn);
        done.store(true, Ordering::Release);
    }
}

/// Copies what can be copied without waiting for anybody. Should it fail, the log has everything and is copied later.
fn copy(conn: &Connection) {
    if let Err(error) = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the write-ahead log could not be copied to the database");
    }
}
