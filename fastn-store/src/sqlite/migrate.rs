//! The numbered steps by which the schema came to be.

use fastn_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension};

use super::fault::{corrupt, fault};

/// Marks a file as ours: "fstn".
pub(super) const APPLICATION_ID: i64 = 0x6673_746e;

struct Migration {
    name: &'static str,
    sql: &'static str,
}

/// In their order, the first being version 1. One that has been released is never changed: its checksum is in every
/// database.
const MIGRATIONS: &[Migration] = &[
    Migration { name: "runs", sql: include_str!("migrations/0001_runs.sql") },
    Migration { name: "entries", sql: include_str!("migrations/0002_entries.sql") },
    Migration { name: "messages", sql: include_str!("migrations/0003_messages.sql") },
    Migration { name: "effects", sql: include_str!("migrations/0004_effects.sql") },
    Migration { name: "queues", sql: include_str!("migrations/0005_queues.sql") },
    Migration { name: "batches", sql: include_str!("migrations/0006_batches.sql") },
    Migration { name: "lease", sql: include_str!("migrations/0007_lease.sql") },
    Migration { name: "ranks", sql: include_str!("migrations/0008_ranks.sql") },
];

const TABLE: &str = "CREATE TABLE migrations (
    version    INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    checksum   BLOB NOT NULL,
    applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP -- for people: nothing is decided by it
) STRICT";

/// What a database is before it is opened as a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// There is nothing in it.
    Empty,
    /// It is ours.
    Ours,
}

/// Says whether a database is empty or ours, without writing to it. To be called in a transaction.
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt) if it is neither, or no database at all.
pub(super) fn identify(conn: &Connection) -> Result<Identity> {
    const OP: &str = "identify database";
    let id: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(fault(OP))?;
    let objects: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(fault(OP))?;
    match (id, objects) {
        (APPLICATION_ID, 1..) => Ok(Identity::Ours),
        (0, 0) => Ok(Identity::Empty),
        (0, _) => {
            Err(corrupt(OP, format!("it belongs to another program: it has {objects} tables or indexes not of ours")))
        }
        _ => Err(corrupt(
            OP,
            format!("it belongs to another program: its application_id is {id}, ours is {APPLICATION_ID}"),
        )),
    }
}

/// Brings the schema to the version of this build. To be called in a transaction that can write.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) if a newer build wrote it, [`Corrupt`](ErrorKind::Corrupt) if it is not ours
/// or an applied step is not the one that we know.
pub(super) fn migrate(conn: &Connection) -> Result<()> {
    const OP: &str = "migrate schema";
    if identify(conn)? == Identity::Empty {
        conn.pragma_update(None, "application_id", APPLICATION_ID).map_err(fault(OP))?;
        conn.execute_batch(TABLE).map_err(fault(OP))?;
    }
    let newest: i64 =
        conn.query_row("SELECT coalesce(max(version), 0) FROM migrations", [], |row| row.get(0)).map_err(fault(OP))?;
    if newest > latest() {
        return Err(Error::new(ErrorKind::Unsupported, OP)
            .with("database", format!("version {newest}"))
            .with("this build", format!("version {}", latest()))
            .caused_by("the database was written by a newer fastn"));
    }
    for (version, migration) in (1_i64..).zip(MIGRATIONS) {
        let checksum = blake3::hash(migration.sql.as_bytes());
        let applied: Option<Vec<u8>> = conn
            .query_row("SELECT checksum FROM migrations WHERE version = ?1", [version], |row| row.get(0))
            .optional()
            .map_err(fault(OP))?;
        match applied {
            Some(known) if known == checksum.as_bytes() => {}
            Some(_) => {
                return Err(corrupt(
                    OP,
                    format!("migration {version} ({}) is not the one that was applied", migration.name),
                ));
            }
            None => {
                conn.execute_batch(migration.sql).map_err(fault(OP))?;
                conn.execute(
                    "INSERT INTO migrations (version, name, checksum) VALUES (?1, ?2, ?3)",
                    (version, migration.name, checksum.as_bytes()),
                )
                .map_err(fault(OP))?;
            }
        }
    }
    Ok(())
}

/// Makes sure that no newer build has changed the schema since this one opened the database: it may mean something that this
/// one does not see.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) if one has.
pub(super) fn check_no_newer(conn: &Connection, op: &'static str) -> Result<()> {
    let newest: i64 = conn
        .prepare_cached("SELECT max(version) FROM migrations")
        .and_then(|mut select| select.query_row([], |row| row.get(0)))
        .map_err(fault(op))?;
    if newest <= latest() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, op)
        .with("database", format!("version {newest}"))
        .with("this build", format!("version {}", latest()))
        .caused_by("a newer fastn has changed the database since"))
}

/// Makes sure that a database has the schema of this build, without changing it.
///
/// # Errors
/// As of [`migrate`], and [`Unsupported`](ErrorKind::Unsupported) if it is an older one: a store that is opened changes that.
pub(super) fn check_current(conn: &Connection) -> Result<()> {
    const OP: &str = "look at schema";
    let newest: i64 = match identify(conn)? {
        Identity::Empty => 0,
        Identity::Ours => conn
            .query_row("SELECT coalesce(max(version), 0) FROM migrations", [], |row| row.get(0))
            .map_err(fault(OP))?,
    };
    if newest == latest() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, OP)
        .with("database", format!("version {newest}"))
        .with("this build", format!("version {}", latest()))
        .caused_by("open a store on it first"))
}

/// The version of this build.
fn latest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}
