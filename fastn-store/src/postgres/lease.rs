//! Leases: many at a time, each with a number that only grows.

use deadpool_postgres::Client;
use fastn_core::{Result, Timestamp};

use super::database::Database;
use super::fault::fault;
use super::fold::fold;
use super::numbers::{stored, unsigned};
use super::options::LeaseClock;
use super::row::get;
use crate::standing::fenced;
use crate::{Lease, LeaseAsk};

/// Takes a lease.
pub(super) async fn acquire(client: &Client, clock: LeaseClock, ask: LeaseAsk) -> Result<Lease> {
    const OP: &str = "acquire lease";
    let until = ask.now.plus(ask.ttl);
    let (given, ttl) = term(clock, until, ask.ttl);
    let row = client
        .query_one(
            "INSERT INTO flow_leases (executor, until)
             VALUES ($1, coalesce($2, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $3)) RETURNING token",
            &[&ask.executor.as_str(), &given, &ttl],
        )
        .await
        .map_err(fault(OP))?;
    Ok(Lease { executor: ask.executor, token: unsigned(get(&row, 0)?)?, until })
}

/// Extends a lease: by the caller's clock to a time, by the server's by as long as was asked for at first. Tells whether there
/// may be runs to claim.
pub(super) async fn renew(
    client: &Client,
    clock: LeaseClock,
    lease: &Lease,
    until: Timestamp,
    ttl: std::time::Duration,
) -> Result<bool> {
    const OP: &str = "renew lease";
    let (given, ttl) = term(clock, until, ttl);
    let function =
        client.prepare_cached("SELECT renewed, claimable FROM renew_1($1, $2, $3)").await.map_err(fault(OP))?;
    let row = client.query_one(&function, &[&stored(lease.token), &given, &ttl]).await.map_err(fault(OP))?;
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
    transaction
        .execute("UPDATE flow_leases SET ended = true WHERE token = $1", &[&stored(token)])
        .await
        .map_err(fault(OP))?;
    fold(&transaction, token).await?;
    transaction.execute("SELECT pg_notify($1, 'r')", &[&database.channel()]).await.map_err(fault(OP))?;
    transaction.commit().await.map_err(fault(OP))
}

/// When a lease ends: at a time, or after a span.
fn term(clock: LeaseClock, until: Timestamp, ttl: std::time::Duration) -> (Option<i64>, i64) {
    let given = match clock {
        LeaseClock::Server => None,
        LeaseClock::Caller => Some(until.as_micros()),
    };
    (given, i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX / 2).min(i64::MAX / 2))
}
