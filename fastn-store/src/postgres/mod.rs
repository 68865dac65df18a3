//! The Postgres store: many executors, one truth.
//!
//! What is written when is told in `migrations/0001_runs.sql`.

mod admit;
mod beside;
mod claim;
mod commit;
mod config;
mod create;
mod database;
mod days;
mod effects;
mod enqueue;
mod entries;
mod fault;
mod flight;
mod fold;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod host;
mod judge;
mod lane;
mod lease;
mod listen;
mod made;
mod mailbox;
mod migrate;
mod numbers;
mod options;
mod partitions;
mod planned;
mod prune;
mod queues;
mod quiet;
mod read;
mod retire;
mod row;
mod rows;
mod served;
#[cfg(feature = "sqlx")]
mod sqlx;
mod store;
mod time;
mod tls;
mod upkeep;
mod values;
mod write;

pub use self::options::{LeaseClock, PostgresOptions};
pub use self::retire::Retired;
pub use self::store::PostgresStore;
