//! Old days are dropped, not emptied: a day in which nothing is to be kept is two tables less. One in which a little is to be
//! kept is written anew with that, beside itself; and so is any other once a run in it has been there for long enough after its
//! time. What its runs have elsewhere is deleted a page at a time: their keys, if they have any, their messages, and what their
//! transactional steps did; and the items of which they are made, when they are gone.

use std::collections::BTreeSet;

use fastn_core::Result;
use tokio_postgres::Client;

use super::beside::{Day, Swapped, clear};
use super::days::DAY;
use super::fault::fault;
use super::judge::Rules;
use super::partitions::all;
use super::row::get;
use crate::Retention;

const OP: &str = "retire old runs";

/// A day is written anew when at most this part of its runs is to be kept.
const WORTH_IT: f64 = 0.5;

/// Where more of it is to be kept it is written anew all the same when a run is this much over its time, in microseconds: so
/// none is kept for ever, and a day is written at most once in this time.
const OVERDUE: i64 = 7 * DAY * 1_000_000;

/// What was done to old days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    /// So many days were dropped.
    pub dropped: u64,
    /// So many were written anew with what is kept of them.
    pub thinned: u64,
    /// So many are as they were, since somebody held them all the time. The next time they are tried again.
    pub busy: u64,
    /// So many runs are gone.
    pub runs: u64,
}

/// After how long a day is looked through again that was not worth it, by the same rules.
const AGAIN: &str = "interval '1 day'";

/// Drops or thins every day that is over and has enough runs in it that are no longer kept, by the server's clock. Nobody else
/// may do so at the same time.
///
/// # Errors
/// What the database says of the first day with which something is wrong; the others were done all the same, if the
/// connection has not gone.
///
/// # Cancel safety
/// Every day is as it was, or is done, but that runs which are to go may have lost what they have elsewhere.
pub(super) async fn retire(client: &mut Client, schema: &str, retention: &Retention) -> Result<Retired> {
    clear(client, schema).await?;
    let mut retired = Retired::default();
    let mut failed = Ok(());
    for day in over(client, retention).await? {
        match retire_day(Day { client, schema, day }, retention, &mut retired).await {
            Ok(()) => {}
            Err(error) if client.is_closed() => return Err(error),
            Err(error) => {
                tracing::warn!(day, error = error.chain().join(": "), "an old day could not be retired");
                failed = failed.and(Err::<(), _>(error)).and(clear(client, schema).await);
            }
        }
    }
    failed.map(|()| retired)
}

/// The days that may have runs in them that are no longer kept, the oldest first.
async fn over(client: &Client, retention: &Retention) -> Result<Vec<i64>> {
    let Some(shortest) = retention.shortest() else { return Ok(Vec::new()) };
    let shortest = i64::try_from(shortest.as_secs()).unwrap_or(i64::MAX).min(i64::MAX / 4);
    let row = client
        .query_one("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint", &[])
        .await
        .map_err(fault(OP))?;
    let now: i64 = get(&row, 0)?;
    let days = all(client).await?.into_iter().filter(|day| (day + 1) * DAY + shortest <= now);
    let sql = format!("SELECT day FROM flow_looked WHERE rules = $1 AND looked_at > now() - {AGAIN}");
    let rows = client.query(&sql, &[&named(retention)]).await.map_err(fault(OP))?;
    let looked: BTreeSet<i64> = rows.iter().map(|row| get(row, 0)).collect::<Result<_>>()?;
    Ok(days.filter(|day| !looked.contains(day)).collect())
}

/// By which the rules are known again.
fn named(retention: &Retention) -> String {
    format!("{retention:?}")
}

/// Notes that a day is not worth it.
async fn leave(client: &Client, day: i64, retention: &Retention) -> Result<()> {
    client
        .execute(
            "INSERT INTO flow_looked (day, rules) VALUES ($1, $2)
             ON CONFLICT (day) DO UPDATE SET rules = excluded.rules, looked_at = excluded.looked_at",
            &[&day, &named(retention)],
        )
        .await
        .map_err(fault(OP))
        .map(drop)
}

/// Retires a day, if that is worth it.
async fn retire_day(mut day: Day<'_>, retention: &Retention, retired: &mut Retired) -> Result<()> {
    let rules = &Rules::of(retention);
    let counted = day.count(rules).await?;
    #[expect(clippy::cast_precision_loss, reason = "a part need not be exact")]
    let worth_it = counted.stay as f64 <= (counted.stay + counted.go) as f64 * WORTH_IT;
    if !worth_it && counted.overdue < OVERDUE {
        day.release().await?;
        return leave(day.client, day.day, retention).await;
    }
    let mut gone = 0;
    let swapped = match day.capture().await? {
        true => {
            gone = day.write(rules).await?.go;
            day.swap().await?
        }
        false => Swapped::Busy,
    };
    match swapped {
        Swapped::Dropped => retired.dropped += 1,
        Swapped::Thinned => retired.thinned += 1,
        Swapped::Busy => {
            tracing::warn!(day = day.day, "an old day could not be locked; it is retired another time");
            retired.busy += 1;
            return clear(day.client, day.schema).await;
        }
    }
    tracing::info!(day = day.day, gone, ?swapped, "an old day was retired");
    retired.runs += u64::try_from(gone).unwrap_or_default();
    day.forget_items().await
}
