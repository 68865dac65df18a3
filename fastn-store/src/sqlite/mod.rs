//! The SQLite store: one file, one executor at a time, many steps per commit.
//!
//! What is written when is told in `migrations`.

mod admit;
mod checkpoint;
mod claim;
mod commit;
mod connection;
mod create;
mod deaths;
mod definitions;
mod effects;
mod enqueue;
mod entries;
mod fault;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod gather;
mod hand;
mod history;
mod host;
mod journal;
mod lease;
mod lock;
mod look;
mod mailbox;
mod messages;
mod migrate;
mod options;
mod queues;
mod reader;
mod retire;
mod row;
mod state;
#[cfg(test)]
mod statements;
mod store;
mod withdraw;
mod worker;
mod writer;

pub use self::options::{SqliteOptions, Synchronous};
pub use self::store::SqliteStore;
