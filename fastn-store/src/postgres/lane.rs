//! What a store remembers between two commits of a lease.

use deadpool_postgres::Client;
use fastn_core::{Result, Timestamp};
use foldhash::HashMap;
use tokio::sync::{Mutex, MutexGuard};

use super::fault::fault;
use super::flight::Flights;
use super::fold::Tails;
use super::numbers::{run_no, stored, unsigned};
use super::row::{get, status};
use crate::journal::RunState;
use crate::standing::{Standing, fenced};
use crate::{RunNo, RunStatus};

/// Several commits of one lease may be under way, but for each run one. What is remembered changes only after Postgres has
/// committed, and all of it can be read again from there.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) token: u64,
    /// The number of the next commit.
    pub(super) next: i64,
    /// The oldest commit whose row may be in the journal.
    pub(super) oldest: i64,
    /// The last commits that were acknowledged, whose rows are in the journal.
    pub(super) acknowledged: Vec<i64>,
    /// The size of the journal, with what is on its way there.
    pub(super) journal_bytes: usize,
    /// The runs that the lease holds. One that is missing is in `flow_history` to its last record.
    pub(super) runs: HashMap<RunNo, Held>,
    /// The commits that are under way.
    pub(super) flights: Flights,
}

/// A run that the lease holds.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) state: RunState,
    /// Whether it has a row in `flow_open`.
    pub(super) open: bool,
}

impl Lane {
    /// The lane of a lease under which nothing was done yet.
    pub(super) fn new(token: u64) -> Self {
        let (runs, flights) = (HashMap::default(), Flights::default());
        Self { token, next: 0, oldest: 0, acknowledged: Vec::new(), journal_bytes: 0, runs, flights }
    }

    /// The lane of a lease under which another store may have written.
    ///
    /// # Errors
    /// [`Fenced`](fastn_core::ErrorKind::Fenced) if it has ended.
    pub(super) async fn load(client: &Client, op: &'static str, token: u64) -> Result<Self> {
        check_lease(client, op, token).await?;
        let tails = Tails::read(client, token).await?;
        let mut lane = Self { next: tails.next, journal_bytes: tails.bytes, ..Self::new(token) };
        for (no, known) in standings(client, token, &tails.mentioned()).await? {
            let Some(mut held) = known.held else { continue };
            if let Some(tail) = tails.of(no, held.state.next)? {
                (held.state.next, held.state.tail_count) = (tail.next, tail.next - tail.first);
                held.state.tail = tail.records;
            }
            lane.runs.insert(no, held);
        }
        Ok(lane)
    }

    /// The lane once nobody waits for the answer to a commit of it.
    pub(super) async fn at_rest(lane: &Mutex<Self>) -> MutexGuard<'_, Self> {
        loop {
            let held = lane.lock().await;
            let news = held.flights.news();
            let news = news.notified();
            tokio::pin!(news);
            // Registered before looking, so that nothing can become of one in between unnoticed.
            news.as_mut().enable();
            if !held.flights.is_awaited() {
                return held;
            }
            drop(held);
            news.await;
        }
    }
}

/// Where a run stands in the database.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) standing: Standing,
    /// What is to be remembered of it, if the lease holds it.
    held: Option<Held>,
}

impl Known {
    pub(super) fn into_held(self) -> Option<Held> {
        self.held
    }
}

/// Where runs stand by what is in `flow_history`. Those that are not there are not in it.
pub(super) async fn standings(client: &Client, token: u64, runs: &[i64]) -> Result<HashMap<RunNo, Known>> {
    const OP: &str = "commit";
    let select = client
        .prepare_cached(
            "SELECT e.run_no, h.status IS NOT NULL, coalesce(o.holder, e.creator), o.status, o.wake_at, coalesce(h.next, 0)
             FROM unnest($1::bigint[]) AS asked (no)
             JOIN flow_executions e ON e.run_no = asked.no
             LEFT JOIN flow_open o ON o.run_no = e.run_no
             LEFT JOIN LATERAL (
                 SELECT first_seq + count AS next, status FROM flow_history
                 WHERE run_no = e.run_no ORDER BY first_seq DESC LIMIT 1
             ) h ON true",
        )
        .await
        .map_err(fault(OP))?;
    let mut known = HashMap::default();
    for row in client.query(&select, &[&runs]).await.map_err(fault(OP))? {
        let (ended, holder): (bool, i64) = (get(&row, 1)?, get(&row, 2)?);
        let (open, next): (Option<i16>, u64) = (get(&row, 3)?, unsigned(get(&row, 5)?)?);
        let held = !ended && holder == stored(token);
        let status = open.map_or(Ok(RunStatus::Running), status)?;
        let wake_at = get::<Option<i64>>(&row, 4)?.map(Timestamp::from_micros);
        let state = || Held { state: RunState::folded(next, status, wake_at), open: open.is_some() };
        let standing = Standing { next, held };
        known.insert(run_no(get(&row, 0)?)?, Known { standing, held: held.then(state) });
    }
    Ok(known)
}

/// Makes sure that a lease has not ended. It may end right after; what writes makes sure again.
pub(super) async fn check_lease(client: &Client, op: &'static str, token: u64) -> Result<()> {
    let select =
        client.prepare_cached("SELECT 1 FROM flow_leases WHERE token = $1 AND NOT ended").await.map_err(fault(op))?;
    match client.query_opt(&select, &[&stored(token)]).await.map_err(fault(op))? {
        Some(_) => Ok(()),
        None => Err(fenced(op, token)),
    }
}
