//! Claims: unfinished runs that nobody holds, page by page.

use std::collections::HashSet;

use fastn_core::{Error, ErrorKind, Result};
use rusqlite::Connection;

use super::connection::transact;
use super::deaths;
use super::definitions::Definitions;
use super::fault::fault;
use super::history::read_history;
use super::lease;
use super::row::{get, input, run_no, select_runs, stored, summary};
use super::state::{Cursor, State};
use crate::journal::RunState;
use crate::{ClaimAsk, Claimed, DefinitionKey, History, RunNo, RunStatus, Suspects};

const OP: &str = "claim runs";

/// Gives runs to the lease, with their records.
///
/// A run whose records cannot be read is passed over and left to nobody: it must not keep an executor from all others.
///
/// # Errors
/// As [`Store::claim`](crate::Store::claim).
pub(super) fn claim(conn: &Connection, state: &mut State, ask: ClaimAsk) -> Result<Vec<Claimed>> {
    let serves: HashSet<DefinitionKey> = ask.serves.into_iter().collect();
    let start = if serves == state.cursor.serves { state.cursor.after } else { 0 };
    let limit = usize::try_from(ask.limit).unwrap_or(usize::MAX);

    let (claimed, after) = transact(conn, OP, |conn| {
        lease::check(conn, state, OP, ask.lease)?;
        let mut scan = Scan { serves: &serves, token: ask.lease, after: start };
        let mut care = Care { dead: deaths::dead_leases(conn)?, suspects: ask.suspects };
        let (mut claimed, mut left) = (Vec::new(), None);
        while claimed.len() < limit {
            let free = scan.page(conn, &mut state.definitions, limit - claimed.len())?;
            if free.is_empty() {
                break;
            }
            for (no, holder) in free {
                if care.lets_pass(conn, no, holder)? {
                    claimed.extend(take(conn, no, ask.lease, holder.has_died(&care.dead))?);
                } else {
                    left.get_or_insert(stored(no.0));
                }
            }
        }
        // Those that were left are looked at again.
        Ok((claimed, left.map_or(scan.after, |first| scan.after.min(first.saturating_sub(1)))))
    })?;

    state.cursor = Cursor { serves, after };
    // A run that waits takes no memory until something happens in it.
    for Claimed { no, history, .. } in claimed.iter().filter(|claimed| claimed.history.run.status != RunStatus::Waiting)
    {
        let next = u64::try_from(history.records.len()).unwrap_or(u64::MAX);
        state.runs.insert(*no, RunState::folded(next, history.run.status, history.run.wake_at));
    }
    Ok(claimed)
}

/// Who held a run, and whether the run waits.
#[derive(Clone, Copy)]
pub(super) struct Holder {
    pub(super) token: i64,
    pub(super) waits: bool,
}

impl Holder {
    /// Whether whoever held the run has died over it.
    pub(super) fn has_died(self, dead: &HashSet<i64>) -> bool {
        !self.waits && dead.contains(&self.token)
    }
}

/// Which runs are begun one by one.
pub(super) struct Care {
    pub(super) dead: HashSet<i64>,
    pub(super) suspects: Suspects,
}

impl Care {
    /// Whether a run may be given to the lease just now.
    pub(super) fn lets_pass(&mut self, conn: &Connection, no: RunNo, holder: Holder) -> Result<bool> {
        if self.suspects.deaths == 0 || !holder.has_died(&self.dead) {
            return Ok(true);
        }
        Ok(self.suspects.let_pass(deaths::with_one_more(conn, no)?))
    }
}

/// A walk over the unfinished runs.
struct Scan<'a> {
    serves: &'a HashSet<DefinitionKey>,
    token: u64,
    after: i64,
}

impl Scan<'_> {
    /// Walks on until it has found so many that can be claimed, and who held them.
    fn page(&mut self, conn: &Connection, definitions: &mut Definitions, limit: usize) -> Result<Vec<(RunNo, Holder)>> {
        let mut select = conn
            .prepare_cached(
                "SELECT run_no, def_no, holder, status FROM flow_executions INDEXED BY flow_executions_unfinished
                 WHERE finished_at IS NULL AND run_no > ?1 AND queued = 0 ORDER BY run_no",
            )
            .map_err(fault(OP))?;
        let mut rows = select.query([self.after]).map_err(fault(OP))?;
        let mut free = Vec::new();
        while free.len() < limit {
            let Some(row) = rows.next().map_err(fault(OP))? else { break };
            self.after = get(row, 0)?;
            let holder = Holder { token: get(row, 2)?, waits: get::<u8>(row, 3)? == RunStatus::Waiting.code() };
            if holder.token != stored(self.token) && self.serves.contains(definitions.key(conn, get(row, 1)?)?) {
                free.push((run_no(self.after), holder));
            }
        }
        Ok(free)
    }
}

/// Gives a run to the lease; `None` if its records cannot be read. `died` says whether whoever held it died over it.
pub(super) fn take(conn: &Connection, no: RunNo, token: u64, died: bool) -> Result<Option<Claimed>> {
    let mut history = match read(conn, no) {
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            tracing::error!(run = no.0, error = error.chain().join(": "), "a run cannot be read and is not claimed");
            return Ok(None);
        }
        other => other?,
    };
    conn.prepare_cached("UPDATE flow_executions SET holder = ?2 WHERE run_no = ?1")
        .and_then(|mut update| update.execute([stored(no.0), stored(token)]))
        .map_err(fault(OP))?;
    history.run.holder = Some(token);
    let deaths = if died {
        deaths::count(conn, no, history.records.len())?
    } else {
        deaths::forget(conn, no)?;
        0
    };
    Ok(Some(Claimed { no, history, deaths }))
}

/// Reads a run that nobody holds: all its records are in `flow_history`, since acquiring a lease folds the journal.
fn read(conn: &Connection, no: RunNo) -> Result<History> {
    let mut select = conn.prepare_cached(select_runs!("WHERE e.run_no = ?1")).map_err(fault(OP))?;
    let mut rows = select.query([stored(no.0)]).map_err(fault(OP))?;
    let missing = || Error::new(ErrorKind::Corrupt, OP).with("run", no.0).caused_by("its definition is missing");
    let row = rows.next().map_err(fault(OP))?.ok_or_else(missing)?;
    Ok(History { run: summary(row)?, input: input(row)?, records: read_history(conn, no)?.records()? })
}
