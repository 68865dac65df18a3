//! The lease: one executor at a time, and a number that only grows.

use std::path::Path;

use fastn_core::{Error, ErrorKind, Result, Timestamp};
use rusqlite::Connection;

use super::connection::transact;
use super::fault::fault;
use super::lock::LockFile;
use super::row::stored;
use super::state::{Held, State};
use super::{deaths, journal};
use crate::standing::fenced;
use crate::{Lease, LeaseAsk};

/// Takes the lease, and with it the lock.
///
/// A lease that this same store gave and that was not renewed in time is taken over together with its lock; nobody can
/// take over the lock of another process that lives.
///
/// # Errors
/// As [`Store::acquire`](crate::Store::acquire).
pub(super) fn acquire(conn: &Connection, state: &mut State, database: &Path, ask: LeaseAsk) -> Result<Lease> {
    let in_force = token_in_force(conn, state)?.is_some();
    let mut lock = match state.held.take().filter(|_| in_force) {
        None => LockFile::take(database, &ask.executor)?,
        Some(held) if held.lease.until < ask.now => held.lock,
        Some(held) => {
            let holder = format!("{} (this process)", held.lease.executor);
            let error = Error::new(ErrorKind::Locked, "lock database").with("path", database.display());
            let error = error.with("holder", holder).with("until", held.lease.until);
            state.held = Some(held);
            return Err(error);
        }
    };
    state.forget_lease();
    lock.sign(&ask.executor).map_err(|e| Error::new(ErrorKind::Unavailable, "lock database").caused_by(e))?;
    let until = ask.now.plus(ask.ttl);
    let token = transact(conn, "acquire lease", |conn| {
        // What an executor before us left in the journal goes to where claims read it.
        journal::fold(conn)?;
        deaths::note(conn)?;
        conn.query_row(
            "UPDATE lease SET token = token + 1, executor = ?1, until = ?2, ended = 0 RETURNING token",
            (ask.executor.as_str(), until.as_micros()),
            |row| row.get::<_, i64>(0),
        )
        .map_err(fault("acquire lease"))
    })?;
    let lease = Lease { executor: ask.executor, token: token.cast_unsigned(), until };
    state.held = Some(Held { lease: lease.clone(), lock });
    Ok(lease)
}

/// Extends the lease.
///
/// # Errors
/// As [`Store::renew`](crate::Store::renew).
pub(super) fn renew(conn: &Connection, state: &mut State, lease: &Lease, until: Timestamp) -> Result<()> {
    transact(conn, "renew lease", |conn| {
        check(conn, state, "renew lease", lease.token)?;
        conn.execute("UPDATE lease SET until = ?1", [until.as_micros()]).map_err(fault("renew lease"))
    })?;
    if let Some(held) = &mut state.held {
        held.lease.until = until;
    }
    Ok(())
}

/// Ends the lease, if it has not ended, and frees the lock.
pub(super) fn release(conn: &Connection, state: &mut State, token: u64) -> Result<()> {
    if state.held.as_ref().is_none_or(|held| held.lease.token != token) {
        return Ok(());
    }
    transact(conn, "release lease", |conn| {
        conn.execute("UPDATE lease SET ended = 1 WHERE token = ?1", [stored(token)]).map_err(fault("release lease"))
    })?;
    state.forget_lease();
    Ok(())
}

/// The token under which this store may write: that of its lease, if nobody has taken a newer one. To be called inside
/// the transaction that writes.
///
/// The lock should make sure of that, but some file systems have locks that do not lock.
pub(super) fn token_in_force(conn: &Connection, state: &State) -> Result<Option<u64>> {
    let Some(held) = &state.held else {
        return Ok(None);
    };
    let newest: i64 = conn
        .prepare_cached("SELECT token FROM lease WHERE ended = 0")
        .and_then(|mut select| select.query_row([], |row| row.get(0)))
        .or_else(|e| if e == rusqlite::Error::QueryReturnedNoRows { Ok(0) } else { Err(e) })
        .map_err(fault("check lease"))?;
    Ok(Some(held.lease.token).filter(|token| stored(*token) == newest))
}

/// Makes sure that a token is the one in force.
///
/// # Errors
/// [`Fenced`](ErrorKind::Fenced) if it is not.
pub(super) fn check(conn: &Connection, state: &State, op: &'static str, token: u64) -> Result<()> {
    match token_in_force(conn, state)? {
        Some(ours) if ours == token => Ok(()),
        _ => Err(fenced(op, token)),
    }
}
