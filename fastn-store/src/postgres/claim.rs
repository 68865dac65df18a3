//! Claims: unfinished runs that nobody holds come into the hands of a lease.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use deadpool_postgres::Client;
use fastn_core::Result;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::fault::fault;
use super::fold::fold;
use super::numbers::{run_no, stored};
use super::options::LeaseClock;
use super::read::read_all;
use super::row::get;
use super::served::Served;
use crate::{ClaimAsk, Claimed, RunNo};

const OP: &str = "claim runs";

/// So many runs are not worth being shared.
const FEW: usize = 16;

/// Runs that cannot be read, and are left alone: they must not keep an executor from all others.
#[derive(Debug, Default)]
pub(super) struct Unreadable(Mutex<HashSet<i64>>);

impl Unreadable {
    pub(super) fn all(&self) -> Vec<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    fn add(&self, run: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(run);
    }
}

/// Gives runs to the lease, with their records, oldest first. Each executor gets its share, so that the runs of a dead one go
/// to all that live. Tells also whether executors have left runs behind.
///
/// # Errors
/// As [`Store::claim`](crate::Store::claim).
pub(super) async fn claim(
    client: &mut Client,
    clock: LeaseClock,
    unreadable: &Unreadable,
    ask: &ClaimAsk,
) -> Result<(Vec<Claimed>, bool)> {
    let served = Served::of(&ask.serves);
    let sources = sources(client, clock, ask, &served).await?;
    for source in sources.iter().filter(|source| source.unfolded) {
        let transaction = client.transaction().await.map_err(fault(OP))?;
        fold(&transaction, source.holder.cast_unsigned()).await?;
        transaction.commit().await.map_err(fault(OP))?;
    }
    let holders: Vec<i64> = sources.iter().map(|source| source.holder).collect();
    let share = share(client, &holders, usize::try_from(ask.limit).unwrap_or(usize::MAX)).await?;
    // Runs of queues are not claimed: whoever admits has to look.
    let left = holders.iter().any(|holder| *holder != 0);
    Ok(match share {
        0 => (Vec::new(), false),
        _ => (take(client, unreadable, ask, &served, (&holders, share)).await?, left),
    })
}

/// Whose runs may be claimed.
struct Source {
    /// The token of a lease that has ended; 0 for nobody.
    holder: i64,
    /// Whether its journal is not yet where it stays.
    unfolded: bool,
}

/// Ends leases that were not renewed, and looks where there is something to claim. Most of the time there is nothing, and
/// this is all that is done.
async fn sources(
    client: &Client,
    clock: LeaseClock,
    ask: &ClaimAsk,
    Served { workflow, version, shape }: &Served,
) -> Result<Vec<Source>> {
    let now = match clock {
        LeaseClock::Server => None,
        LeaseClock::Caller => Some(ask.now.as_micros()),
    };
    let select = client.prepare_cached("SELECT * FROM survey_2($1, $2, $3, $4, $5)").await.map_err(fault(OP))?;
    let values: [&(dyn ToSql + Sync); 5] = [&stored(ask.lease), &now, workflow, version, shape];
    let rows = client.query(&select, &values).await.map_err(fault(OP))?;
    rows.iter().map(|row| Ok(Source { holder: get(row, 0)?, unfolded: get(row, 1)? })).collect()
}

/// How many runs one executor takes at a time. A lease in whose name nothing is left is forgotten.
async fn share(client: &Client, holders: &[i64], most: usize) -> Result<usize> {
    if holders.is_empty() {
        return Ok(0);
    }
    let select = client
        .prepare_cached(
            "SELECT h.token, (SELECT count(*) FROM (SELECT 1 FROM flow_open WHERE holder = h.token LIMIT $2) AS few),
                 (SELECT count(*) FROM flow_leases WHERE NOT ended)
             FROM unnest($1::bigint[]) AS h (token)",
        )
        .await
        .map_err(fault(OP))?;
    let cap = i64::try_from(most).unwrap_or(i64::MAX).saturating_mul(64);
    let (mut runs, mut executors, mut empty) = (0_i64, 1_i64, Vec::new());
    for row in client.query(&select, &[&holders, &cap]).await.map_err(fault(OP))? {
        let (holder, count): (i64, i64) = (get(&row, 0)?, get(&row, 1)?);
        runs = runs.saturating_add(count);
        executors = get::<i64>(&row, 2)?.max(1);
        if count == 0 && holder != 0 {
            empty.push(holder);
        }
    }
    if !empty.is_empty() {
        let delete = client
            .prepare_cached(
                "DELETE FROM flow_leases l WHERE l.token = ANY ($1) AND l.ended AND l.folded
                     AND NOT EXISTS (SELECT 1 FROM flow_open WHERE holder = l.token)",
            )
            .await
            .map_err(fault(OP))?;
        client.execute(&delete, &[&empty]).await.map_err(fault(OP))?;
    }
    let share = usize::try_from(runs.saturating_add(executors - 1) / executors).unwrap_or(usize::MAX);
    Ok(if runs == 0 { 0 } else { share.max(FEW).min(most) })
}

async fn take(
    client: &mut Client,
    unreadable: &Unreadable,
    ask: &ClaimAsk,
    Served { workflow, version, shape }: &Served,
    (holders, most): (&[i64], usize),
) -> Result<Vec<Claimed>> {
    let sql = "SELECT * FROM claim_2($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let claim = client.prepare_cached(sql).await.map_err(fault(OP))?;
    let mut suspects = ask.suspects;
    let mut claimed = Vec::new();
    // Again, should some of them be unreadable.
    loop {
        let transaction = client.transaction().await.map_err(fault(OP))?;
        let limit = i64::try_from(most - claimed.len()).unwrap_or(i64::MAX);
        let skip = unreadable.all();
        let (deaths, of_these) = (i64::from(suspects.deaths), i64::from(suspects.limit));
        let values: [&(dyn ToSql + Sync); 9] =
            [&stored(ask.lease), &holders, workflow, version, shape, &skip, &limit, &deaths, &of_these];
        let rows = transaction.query(&claim, &values).await.map_err(fault(OP))?;
        let runs: Vec<i64> = rows.iter().map(|row| get(row, 0)).collect::<Result<_>>()?;
        let deaths: HashMap<RunNo, u32> = rows.iter().map(deaths_of).collect::<Result<_>>()?;
        let mut bad = Vec::new();
        for (no, history) in read_all(&transaction, &runs).await? {
            match history {
                Ok(history) => {
                    let deaths = deaths.get(&no).copied().unwrap_or_default();
                    suspects.let_pass(deaths);
                    claimed.push(Claimed { no, history, deaths });
                }
                Err(error) => {
                    tracing::error!(
                        run = no.0,
                        error = error.chain().join(": "),
                        "a run cannot be read and is not claimed"
                    );
                    bad.push(stored(no.0));
                }
            }
        }
        if !bad.is_empty() {
            transaction
                .execute("UPDATE flow_open SET holder = 0 WHERE run_no = ANY ($1)", &[&bad])
                .await
                .map_err(fault(OP))?;
        }
        transaction.commit().await.map_err(fault(OP))?;
        bad.iter().for_each(|no| unreadable.add(*no));
        if bad.is_empty() || claimed.len() >= most {
            return Ok(claimed);
        }
    }
}

/// A run that was taken, and how many in a row died over it.
pub(super) fn deaths_of(row: &Row) -> Result<(RunNo, u32)> {
    Ok((run_no(get(row, 0)?)?, u32::try_from(get::<i64>(row, 1)?).unwrap_or(u32::MAX)))
}
