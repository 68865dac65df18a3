//! Leases: many at a time, each with a number that only grows.

use deadpool_postgres::Client;
use fastn_core::{Result, Timestamp};

use super::database::Database;
use super::fault::fault;
use super::fold::fold;
use super::numbers::{stored, unsigned};
use super::options::LeaseClock;
use super::row::get;
use super::served::Served;
use crate::standing::fenced;
use crate::{DefinitionKey, Lease, LeaseAsk};

/// Takes a lease. Whoever comes anew knows nothing of the others, who may have been kept from the server as long as itself: it
/// ends none of theirs before its own might have ended.
pub(super) async fn acquire(client: &Client, clock: LeaseClock, ask: LeaseAsk) -> Result<Lease> {
    const OP: &str = "acquire lease";
    let until = ask.now.plus(ask.ttl);
    let term = i64::try_from(ask.ttl.as_micros()).unwrap_or(i64::MAX / 2).min(i64::MAX / 2);
    let row = client
        .query_one(
            "INSERT INTO flow_leases (executor, until, term, forbears)
             SELECT $1, coalesce($2, soon), $3, soon
             FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $3 AS soon) clock RETURNING token",
            &[&ask.executor.as_str(), &given(clock, until), &term],
        )
        .await
        .map_err(fault(OP))?;
    Ok(Lease { executor: ask.executor, token: unsigned(get(&row, 0)?)?, until })
}

/// Extends a lease: by the caller's clock to a time, by the server's by as long as was asked for at first. Tells whether there
/// may be runs to claim of those that are served.
pub(super) async fn renew(
    client: &Client,
    clock: LeaseClock,
    lease: &Lease,
    until: Timestamp,
    (serves, skip): (&[DefinitionKey], &[i64]),
) -> Result<bool> {
    const OP: &str = "renew lease";
    let served = Served::of(serves);
    let function = client
        .prepare_cached("SELECT renewed, claimable FROM renew_1($1, $2, $3, $4, $5, $6)")
        .await
        .map_err(fault(OP))?;
    let row = client
        .query_one(
            &function,
            &[&stored(lease.token), &given(clock, until), &served.workflow, &served.version, &served.shape, &skip],
        )
        .await
        .map_err(fault(OP))?;
    if get(&row, 0)? { get(&row, 1) } else { Err(fenced(OP, lease.token)) }
}

/// Ends a lease, if it has not ended, moves its journal to where it stays, and tells the others.
pub(super) async fn release(client: &mut Client, database: &Database, token: u64) -> Result<()> {
    const OP: &str = "release lease";
    let transaction = client.transaction().await.map_err(fault(OP))?;
    let schema = &*database.schema;
    transaction
        .execute(
            "SELECT pg_advisory_xact_lock(hashtext($1 || '.lease'), ($2::bigint % 2147483647)::integer)",
            &[&schema, &stored(token)],
        )
        .await
        .map_err(fault(OP))?;
    // Whoever gives back one that has ended lives: nobody has died over its runs.
    transaction
        .execute("UPDATE flow_leases SET ended = true, released = true WHERE token = $1", &[&stored(token)])
        .await
        .map_err(fault(OP))?;
    fold(&transaction, token).await?;
    transaction.execute("SELECT pg_notify($1, 'r')", &[&database.channel()]).await.map_err(fault(OP))?;
    transaction.commit().await.map_err(fault(OP))
}

/// When a lease ends, if the caller's clock says so.
fn given(clock: LeaseClock, until: Timestamp) -> Option<i64> {
    match clock {
        LeaseClock::Server => None,
        LeaseClock::Caller => Some(until.as_micros()),
    }
}
