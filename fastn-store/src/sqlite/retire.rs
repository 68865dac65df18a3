//! Runs that ended long ago are deleted, a few at a time between commits.

use std::time::{Duration, Instant, SystemTime};

use fastn_core::{Result, Timestamp};
use rusqlite::Connection;

use super::connection::transact;
use super::fault::fault;
use super::row::status;
use crate::Retention;

const OP: &str = "retire old runs";

/// So many runs are looked at in a transaction, and no more are deleted in it once so many rows are: whoever commits waits for
/// no longer than it takes.
const RUNS: i64 = 256;
const ROWS: i64 = 2_000;

/// When it is looked for the first time, how often then, and how long commits have the writer between two transactions.
const FIRST: Duration = Duration::from_secs(30);
const EACH: Duration = Duration::from_secs(60 * 60);
const PAUSE: Duration = Duration::from_millis(50);

/// A run that has ended, as it stands among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    finished_at: i64,
    run_no: i64,
}

impl Place {
    /// Before all.
    pub(super) const FIRST: Self = Self { finished_at: i64::MIN, run_no: i64::MIN };
}

/// When runs are retired, and how far that has come.
#[derive(Debug)]
pub(super) struct Upkeep {
    due: Option<Instant>,
    after: Place,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self { due: Instant::now().checked_add(FIRST), after: Place::FIRST }
    }
}

impl Upkeep {
    /// How long until it is time; none if it is. `None` if it never will be.
    pub(super) fn left(&self) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Behind which run the next ones are.
    pub(super) const fn after(&self) -> Place {
        self.after
    }

    /// Some were retired, and the next are behind this one; or what went wrong is tried again.
    pub(super) fn done(&mut self, next: Result<Option<Place>>) {
        let (after, wait) = match next {
            Ok(Some(next)) => (next, PAUSE),
            Ok(None) => (Place::FIRST, EACH),
            Err(error) => {
                tracing::warn!(error = error.chain().join(": "), "old runs could not be deleted");
                (Place::FIRST, EACH)
            }
        };
        self.after = after;
        self.due = Instant::now().checked_add(wait);
    }
}

/// The time by this machine's calendar.
pub(super) fn today() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// Deletes the next runs behind this one that are no longer kept. How many there were, and behind which run there may be more.
pub(super) fn retire(
    conn: &Connection,
    retention: &Retention,
    now: Timestamp,
    after: Place,
) -> Result<(u64, Option<Place>)> {
    let Some(shortest) = retention.shortest() else { return Ok((0, None)) };
    let shortest = i64::try_from(shortest.as_micros()).unwrap_or(i64::MAX);
    let before = now.as_micros().saturating_sub(shortest);
    transact(conn, OP, |conn| {
        let (mut last, mut looked, mut rows) = (None, 0, 0);
        let mut gone = Vec::new();
        {
            let mut select = conn
                .prepare_cached(
                    "SELECT e.finished_at, e.run_no, t.tenant, d.workflow, e.status,
                         (SELECT count(*) FROM flow_history h WHERE h.run_no = e.run_no)
                         + (SELECT count(*) FROM flow_messages m WHERE m.run_no = e.run_no)
                         + (SELECT count(*) FROM flow_batched b WHERE b.run_no = e.run_no)
                     FROM flow_executions e JOIN flow_definitions d ON d.def_no = e.def_no
                     JOIN flow_tenants t ON t.tenant_no = e.tenant_no
                     WHERE e.finished_at IS NOT NULL AND (e.finished_at, e.run_no) > (?1, ?2) AND e.finished_at <= ?3
                     ORDER BY e.finished_at, e.run_no LIMIT ?4",
                )
                .map_err(fault(OP))?;
            let mut found = select.query((after.finished_at, after.run_no, before, RUNS)).map_err(fault(OP))?;
            while rows < ROWS
                && let Some(row) = found.next().map_err(fault(OP))?
            {
                let run: (i64, i64, String, String, u8, i64) = row.try_into().map_err(fault(OP))?;
                let (finished_at, run_no, tenant, workflow, code, has) = run;
                looked += 1;
                last = Some(Place { finished_at, run_no });
                let ended = Timestamp::from_micros(finished_at);
                if !retention.keeps((&tenant, &workflow, status(code)?), ended, now) {
                    rows += has + 1;
                    gone.push(run_no);
                }
            }
        }
        delete(conn, &gone)?;
        let more = looked == RUNS || rows >= ROWS;
        Ok((u64::try_from(gone.len()).unwrap_or(u64::MAX), last.filter(|_| more)))
    })
}

/// Deletes runs with all that they have.
pub(super) fn delete(conn: &Connection, runs: &[i64]) -> Result<()> {
    if let Some(largest) = runs.iter().max() {
        conn.prepare_cached("UPDATE flow_numbers SET deleted = max(deleted, ?1)")
            .and_then(|mut update| update.execute([largest]))
            .map_err(fault(OP))?;
    }
    for sql in [
        "DELETE FROM flow_effects WHERE (tenant, run_id) = (
             SELECT t.tenant, e.run_id FROM flow_executions e JOIN flow_tenants t ON t.tenant_no = e.tenant_no
             WHERE e.run_no = ?1)",
        "DELETE FROM flow_messages WHERE run_no = ?1",
        "DELETE FROM flow_batched WHERE run_no = ?1",
        "DELETE FROM flow_history WHERE run_no = ?1",
        "DELETE FROM flow_executions WHERE run_no = ?1",
    ] {
        let mut delete = conn.prepare_cached(sql).map_err(fault(OP))?;
        for no in runs {
            delete.execute([no]).map_err(fault(OP))?;
        }
    }
    Ok(())
}
