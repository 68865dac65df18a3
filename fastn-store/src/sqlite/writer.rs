//! The thing on the writer's thread: everything that changes the database.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastn_core::{Result, Timestamp};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checkpoint::Checkpointer;
use super::commit::{Answer, Committed, commit};
use super::connection::{check_setting, open_writer, transact};
use super::fault::fault;
use super::look::Looked;
use super::options::{SqliteOptions, Synchronous};
use super::retire::{Place, Upkeep};
use super::state::State;
use super::worker::Thing;
use super::{admit, claim, entries, lease, retire, withdraw};
use crate::board::Board;
use crate::journal::size_of;
use crate::{AdmitAsk, Admitted, Batch, ClaimAsk, Claimed, Lease, LeaseAsk, Put, QUEUE, Withdraw};

/// A transaction takes no further batch once it has so many bytes: those who wait for it should not wait for long.
const ENOUGH: usize = 4 << 20;

/// About what a row costs that somebody else writes, in bytes.
const ROW: usize = 512;

/// The batches that wait for the next transaction.
pub(super) type Queue = Mutex<VecDeque<Request>>;

/// A batch, and who waits for its answer.
pub(super) struct Request {
    pub(super) batch: Batch,
    pub(super) reply: oneshot::Sender<Answer>,
}

pub(super) struct Writer {
    pub(super) conn: Connection,
    database: PathBuf,
    queue: Arc<Queue>,
    board: Arc<Board>,
    pub(super) state: State,
    options: SqliteOptions,
    checkpointer: Checkpointer,
    looked: Looked,
    upkeep: Upkeep,
}

impl Writer {
    /// Opens the database.
    pub(super) fn open(database: &Path, options: &SqliteOptions, queue: Arc<Queue>, board: Arc<Board>) -> Result<Self> {
        let conn = open_writer(database, options)?;
        // One database has one lock, by whatever links it is reached.
        let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
        let (options, checkpointer) = (options.clone(), Checkpointer::default());
        let (state, looked, upkeep) = (State::default(), Looked::default(), Upkeep::default());
        Ok(Self { conn, database, queue, board, state, options, checkpointer, looked, upkeep })
    }

    /// Commits what waits, in one transaction. Called once for every request, it finds nothing to do when an earlier
    /// call took the request along.
    pub(super) fn commit_waiting(&mut self) {
        let (batches, replies): (Vec<Batch>, Vec<_>) =
            self.take_waiting().into_iter().map(|request| (request.batch, request.reply)).unzip();
        if batches.is_empty() {
            return;
        }
        self.checkpointer.finish(&self.conn);
        let Committed { answers, bytes, queues } =
            commit(&self.conn, &mut self.state, &batches, self.options.journal_budget);
        if queues {
            self.board.tell_queues();
        }
        for (reply, answer) in replies.into_iter().zip(answers) {
            // Who no longer waits need not know.
            let _ = reply.send(answer);
        }
        self.checkpointer.committed(bytes, &self.database, &self.options);
    }

    /// Does something that writes to the database by itself, between two commits.
    pub(super) fn apart<R>(&mut self, work: impl FnOnce(&Connection) -> R) -> R {
        self.checkpointer.finish(&self.conn);
        let before = self.conn.total_changes();
        let result = work(&self.conn);
        let rows = usize::try_from(self.conn.total_changes().saturating_sub(before)).unwrap_or(usize::MAX);
        self.checkpointer.committed(rows.saturating_mul(ROW), &self.database, &self.options);
        result
    }

    fn take_waiting(&self) -> Vec<Request> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        let mut bytes = 0;
        while bytes < ENOUGH
            && let Some(request) = queue.pop_front()
        {
            bytes += request.batch.writes.iter().map(size_of).sum::<usize>();
            taken.push(request);
        }
        taken
    }

    pub(super) fn acquire(&mut self, ask: LeaseAsk) -> Result<Lease> {
        lease::acquire(&self.conn, &mut self.state, &self.database, ask)
    }

    pub(super) fn renew(&mut self, lease: &Lease, until: Timestamp) -> Result<()> {
        lease::renew(&self.conn, &mut self.state, &self.database, lease, until)
    }

    pub(super) fn release(&mut self, lease: &Lease) -> Result<()> {
        self.end_lease(lease.token)
    }

    /// Without waiting for the disk: were it forgotten, the next executor would do without.
    fn end_lease(&mut self, token: u64) -> Result<()> {
        if self.state.held.as_ref().is_none_or(|held| held.lease.token != token) {
            return Ok(());
        }
        let set = |synchronous: Synchronous| {
            self.conn.pragma_update(None, "synchronous", synchronous.code()).map_err(fault("release lease"))
        };
        set(Synchronous::Normal)?;
        let ended = lease::release(&self.conn, &mut self.state, token);
        set(self.options.synchronous)?;
        check_setting(&self.conn, "synchronous", self.options.synchronous.code())?;
        ended
    }

    pub(super) fn claim(&mut self, ask: ClaimAsk) -> Result<Vec<Claimed>> {
        claim::claim(&self.conn, &mut self.state, ask)
    }

    pub(super) fn put(&mut self, put: &Put) -> Result<u64> {
        let version = entries::put(&self.conn, put)?;
        if put.key.kind.as_str() == QUEUE {
            self.board.tell_queues();
        }
        Ok(version)
    }

    pub(super) fn admit(&mut self, ask: &AdmitAsk) -> Result<Admitted> {
        admit::admit(&self.conn, &mut self.state, ask)
    }

    pub(super) fn withdraw(&mut self, ask: &Withdraw) -> Result<bool> {
        let queued = self.apart(|conn| withdraw::withdraw(conn, ask))?;
        if queued == Some(true) {
            self.board.tell_queues();
        }
        if queued.is_some() {
            self.board.tell_ends();
        }
        Ok(queued.is_some())
    }

    /// Deletes runs that ended before a time, the oldest first.
    pub(super) fn prune(&mut self, before: Timestamp, limit: u32) -> Result<u64> {
        const OP: &str = "prune runs";
        transact(&self.conn, OP, |conn| {
            let numbers: Vec<i64> = conn
                .prepare_cached(
                    "SELECT run_no FROM flow_executions WHERE finished_at < ?1 ORDER BY finished_at, run_no LIMIT ?2",
                )
                .and_then(|mut select| select.query_map((before.as_micros(), limit), |row| row.get(0))?.collect())
                .map_err(fault(OP))?;
            retire::delete(conn, &numbers)?;
            Ok(u64::try_from(numbers.len()).unwrap_or(u64::MAX))
        })
    }

    /// Deletes the next runs behind this one that are no longer kept. How many there were, and behind which run there may be
    /// more.
    pub(super) fn retire(&mut self, after: Place) -> Result<(u64, Option<Place>)> {
        let retention = self.options.retention.clone();
        let retired = self.apart(|conn| retire::retire(conn, &retention, retire::today(), after))?;
        if retired.0 > 0 {
            tracing::info!(runs = retired.0, "old runs were deleted");
        }
        Ok(retired)
    }

    /// Does that when it is time, as long as this process has the lease. How long until it is time again.
    fn keep_up(&mut self) -> Option<Duration> {
        if self.upkeep.left().is_some_and(|left| left.is_zero()) {
            let next = match self.state.held {
                Some(_) => self.retire(self.upkeep.after()).map(|(_, next)| next),
                None => Ok(None),
            };
            self.upkeep.done(next);
        }
        self.upkeep.left()
    }
}

impl Thing for Writer {
    fn between_jobs(&mut self) -> Option<Duration> {
        let looks = self.looked.look(&self.conn, &self.board);
        self.keep_up().into_iter().chain(looks).min()
    }
}

impl Drop for Writer {
    /// Ends the lease, so that nobody has to wonder, and leaves the database in one file. Both are niceties: after a
    /// crash the next executor does without.
    fn drop(&mut self) {
        if let Some(token) = self.state.held.as_ref().map(|held| held.lease.token)
            && let Err(error) = self.end_lease(token)
        {
            tracing::warn!(%error, "the lease could not be ended");
        }
        self.checkpointer = Checkpointer::default();
        // It answers with a row, which is of no interest.
        let checkpoint = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = checkpoint {
            tracing::warn!(%error, "the write-ahead log could not be copied to the database");
        }
    }
}

#[cfg(test)]
mod tests {
    use fastn_core::ExecutorId;

    use super::*;
    use crate::Retention;

    #[test]
    fn old_runs_are_deleted_when_it_is_time_by_whoever_has_the_lease() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = SqliteOptions::default().retention(Retention::of(Duration::ZERO));
        let path = folder.path().join("runs.db");
        let mut writer = Writer::open(&path, &options, Arc::default(), Arc::default()).expect("it opens");
        let ended = "INSERT INTO flow_tenants VALUES (1, 't');
            INSERT INTO flow_definitions VALUES (1, 1, 'w', 1, x'00', NULL);
            INSERT INTO flow_executions (run_no, tenant_no, run_id, def_no, status, holder, created_at, finished_at, input)
            VALUES (1, 1, x'01', 1, 10, 0, 1, 2, x''), (2, 1, x'02', 1, 1, 0, 1, NULL, x'')";
        writer.conn.execute_batch(ended).expect("it is SQL");
        let runs = |writer: &Writer| -> i64 {
            let count = "SELECT count(*) FROM flow_executions";
            writer.conn.query_row(count, [], |row| row.get(0)).expect("it counts")
        };
        let first = writer.between_jobs().expect("it will be time");
        assert!(first > Duration::from_secs(20) && runs(&writer) == 2, "not at once: {first:?}");
        for (has_lease, left) in [(false, 2), (true, 1)] {
            if has_lease {
                let executor = ExecutorId::new("a").expect("a name");
                let ask = LeaseAsk { executor, now: retire::today(), ttl: Duration::from_secs(60) };
                writer.acquire(ask).expect("nobody else has it");
            }
            writer.upkeep.done(Ok(Some(Place::FIRST)));
            while writer.upkeep.left().is_some_and(|left| left <= Duration::from_secs(1)) {
                writer.between_jobs();
            }
            assert_eq!(runs(&writer), left, "what has not ended stays");
        }
    }
}
