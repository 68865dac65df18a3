//! The lease: one executor at a time, and a number that only grows.
//!
//! The disk is waited for by what is done under it, which comes later; a power cut that takes the lease back takes all of that too,
//! and whoever had it.

use std::path::Path;

use fastn_core::{Error, ErrorKind, Result, Timestamp};
use rusqlite::Connection;

use super::connection::transact_unwaited;
use super::fault::fault;
use super::lock::LockFile;
use super::row::stored;
use super::state::{Held, State};
use super::{deaths, journal, migrate};
use crate::standing::fenced;
use crate::{Lease, LeaseAsk};

/// Takes the lease, and with it the lock.
///
/// Whoever died had the lock with the lease, and both can be had at once. Of a process that lives but was stalled for longer
/// than its lease the lease alone is taken: it is fenced by its token, and the lock is taken when it lets go of it.
///
/// # Errors
/// As [`Store::acquire`](crate::Store::acquire).
pub(super) fn acquire(conn: &Connection, state: &mut State, database: &Path, ask: LeaseAsk) -> Result<Lease> {
    let in_force = token_in_force(conn, state)?.is_some();
    let mut lock = match state.held.take().filter(|_| in_force) {
        None => match LockFile::take(database, &ask.executor) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == ErrorKind::Locked => match Standing::read(conn)?.is_free(ask.now, false) {
                true => None,
                false => return Err(error),
            },
            Err(error) => return Err(error),
        },
        Some(held) if held.lease.until < ask.now => held.lock,
        Some(held) => {
            let holder = format!("{} (this process)", held.lease.executor);
            let error = locked(database, &holder).with("until", held.lease.until);
            state.held = Some(held);
            return Err(error);
        }
    };
    state.forget_lease();
    if let Some(lock) = &mut lock {
        lock.sign(&ask.executor).map_err(|e| Error::new(ErrorKind::Unavailable, "lock database").caused_by(e))?;
    }
    let until = ask.now.plus(ask.ttl);
    let token = transact_unwaited(conn, "acquire lease", |conn| {
        migrate::check_no_newer(conn, "acquire lease")?;
        // Whoever has no lock may have been faster.
        let standing = Standing::read(conn)?;
        if !standing.is_free(ask.now, lock.is_some()) {
            return Err(locked(database, &standing.executor).with("until", standing.until));
        }
        // What an executor before us left in the journal goes to where claims read it.
        journal::fold(conn)?;
        deaths::note(conn)?;
        conn.query_row(
            "UPDATE lease SET token = token + 1, executor = ?1, until = ?2, ended = 0, locked = ?3 RETURNING token",
            (ask.executor.as_str(), until.as_micros(), lock.is_some()),
            |row| row.get::<_, i64>(0),
        )
        .map_err(fault("acquire lease"))
    })?;
    let lease = Lease { executor: ask.executor, token: token.cast_unsigned(), until };
    state.held = Some(Held { lease: lease.clone(), lock });
    Ok(lease)
}

fn locked(database: &Path, holder: &str) -> Error {
    Error::new(ErrorKind::Locked, "lock database").with("path", database.display()).with("holder", holder)
}

/// How the last lease that was given stands.
struct Standing {
    executor: String,
    until: Timestamp,
    ended: bool,
    /// Whether its executor has the lock of the file, or had it when it died.
    locked: bool,
}

impl Standing {
    fn read(conn: &Connection) -> Result<Self> {
        conn.query_row("SELECT executor, until, ended, locked FROM lease", [], |row| {
            let until = Timestamp::from_micros(row.get(1)?);
            Ok(Self { executor: row.get(0)?, until, ended: row.get(2)?, locked: row.get(3)? })
        })
        .map_err(fault("acquire lease"))
    }

    /// Whether another may have the lease, who has the lock of the file or has not.
    fn is_free(&self, now: Timestamp, has_lock: bool) -> bool {
        self.ended || self.until < now || (has_lock && self.locked)
    }
}

/// Extends the lease. Whoever has no lock takes it if it can be had by now.
///
/// # Errors
/// As [`Store::renew`](crate::Store::renew).
pub(super) fn renew(
    conn: &Connection,
    state: &mut State,
    database: &Path,
    lease: &Lease,
    until: Timestamp,
) -> Result<()> {
    check(conn, state, "renew lease", lease.token)?;
    if let Some(held @ Held { lock: None, .. }) = &mut state.held {
        held.lock = LockFile::take(database, &lease.executor).ok();
    }
    let has_lock = state.held.as_ref().is_some_and(|held| held.lock.is_some());
    transact_unwaited(conn, "renew lease", |conn| {
        check(conn, state, "renew lease", lease.token)?;
        conn.execute("UPDATE lease SET until = ?1, locked = ?2", (until.as_micros(), has_lock))
            .map_err(fault("renew lease"))
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
    transact_unwaited(conn, "release lease", |conn| {
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
