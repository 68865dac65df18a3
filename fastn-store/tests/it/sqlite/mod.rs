//! What only the SQLite store promises.

mod crash;
mod differential;
mod file;
mod host;
mod journal;
mod lease;
mod news;

use std::path::Path;

use fastn_store::{SqliteOptions, SqliteStore};

pub(crate) async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, SqliteOptions::default()).await.unwrap()
}

/// A store whose journal holds a few turns only.
pub(crate) async fn open_tiny(path: &Path) -> SqliteStore {
    SqliteStore::open(path, SqliteOptions::default().journal_budget(500)).await.unwrap()
}

/// Looks into a database, or does something to it behind the store's back.
pub(crate) fn behind(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}
