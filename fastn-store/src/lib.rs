//! Where fastn keeps runs.
//!
//! [`Store`] is the contract; read it before you write one, and start from [`MemoryStore`], which is the reference. The
//! cases in `tests/it/contract.rs` run on every store. [`open`] opens a store by its URL.

mod board;
#[cfg(feature = "redis")]
mod cache;
mod contract;
mod entries;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod journal;
mod mail;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod queue;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod retention;
#[cfg(feature = "sqlite")]
mod sqlite;
mod standing;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod trust;
mod url;

#[cfg(feature = "redis")]
pub use crate::cache::{ReadCache, ReadCacheCounts};
pub use crate::contract::{
    AdmitAsk, Admitted, Batch, ClaimAsk, Claimed, DefinitionKey, Enqueue, Entry, EntryKey, Existing, Expect, HELD,
    History, HostTransaction, InSchema, Join, Lease, LeaseAsk, Mailbox, Message, MessageNo, NewRun, News, NewsAsk,
    Once, PAUSED, Page, Put, QueueBusy, QueueCounts, Queues, ReadThrough, ReceiveAsk, Received, Repository, RunKey,
    RunNo, RunQuery, RunStatus, RunSummary, Scan, Sent, Store, Suspects, Taken, Then, Turn, WhenTaken, Withdraw, Write,
    Written,
};
pub use crate::memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use crate::postgres::{LeaseClock, PostgresOptions, PostgresStore, Retired};
pub use crate::queue::{QUEUE, QueueRules, Rate, RateWindow};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use crate::retention::{Retention, Rule};
#[cfg(feature = "sqlite")]
pub use crate::sqlite::{SqliteOptions, SqliteStore, Synchronous};
pub use crate::url::open;
