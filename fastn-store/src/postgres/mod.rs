//! The Postgres store: many executors, one truth.
//!
//! What is written when is told in `migrations/0001_runs.sql`.

mod claim;
mod commit;
mod config;
mod create;
mod database;
mod entries;
mod fault;
mod fold;
mod lane;
mod lease;
mod listen;
mod mailbox;
mod migrate;
mod numbers;
mod options;
mod partitions;
mod prune;
mod read;
mod row;
mod store;
mod tls;

pub use self::options::{LeaseClock, PostgresOptions};
pub use self::store::PostgresStore;
