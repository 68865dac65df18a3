//! An SQLite file with one table that only grows.

use rusqlite::Connection;
use versus_measure::{Ask, Durability, Fallible};

pub const INSERT: &str = "INSERT INTO results (run, step, value) VALUES (?1, ?2, ?3)";

/// Opens it, with a write-ahead log and the durability that was asked for, and makes sure that it has them.
pub fn open(ask: &Ask) -> Fallible<Connection> {
    let conn = Connection::open(ask.file())?;
    let (name, number) = match ask.durability {
        Durability::Full => ("FULL", 2),
        Durability::Normal => ("NORMAL", 1),
        Durability::On | Durability::None => return ask.unknown(),
    };
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", name)?;
    let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let synchronous: i64 = conn.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if mode != "wal" || synchronous != number {
        return Err(format!("journal_mode is {mode}, synchronous {synchronous}").into());
    }
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS results (id INTEGER PRIMARY KEY, run INTEGER, step INTEGER, value BLOB)",
    )?;
    Ok(conn)
}
