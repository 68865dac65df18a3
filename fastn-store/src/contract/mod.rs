//! The contract between an engine and the place where its runs live.

mod batch;
mod claim;
mod enqueue;
mod host;
mod lease;
mod mailbox;
mod new;
mod news;
mod query;
mod queues;
mod repository;
mod run;
mod status;
mod store;
mod through;

pub use self::batch::{Batch, Then, Turn, Write, Written};
pub use self::claim::{ClaimAsk, Claimed, Suspects};
pub use self::enqueue::{Enqueue, Join, Once, Taken, WhenTaken};
pub use self::host::{HostTransaction, InSchema};
pub use self::lease::{Lease, LeaseAsk};
pub use self::mailbox::{Mailbox, Message, MessageNo, ReceiveAsk, Received, Sent};
pub use self::new::{Existing, NewRun};
pub use self::news::{News, NewsAsk};
pub use self::query::{Page, RunQuery};
pub use self::queues::{AdmitAsk, Admitted, QueueBusy, QueueCounts, Queues, Withdraw};
pub use self::repository::{Entry, EntryKey, Expect, Put, Repository, Scan};
pub use self::run::{DefinitionKey, HELD, History, PAUSED, RunKey, RunNo, RunSummary};
pub use self::status::RunStatus;
pub use self::store::Store;
pub use self::through::ReadThrough;
