//! The same random operations on several stores at once: whatever is done to them, they answer alike.
//!
//! One seed says everything that is done, by two executors, to runs, entries, messages and queues; the memory store says
//! what the answers should be. Both executors have leases at once, unless a store gives one at a time: then the second is
//! told so until it finds the lease free or ended. If another store answers differently, operations are left out as long as it still does, and what remains is a script of a few lines.
//!
//! ```
//! # use std::sync::Arc;
//! use fastn_store::{MemoryStore, Store};
//! use fastn_testkit::differential::{Subject, run};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let mine = Subject::new("mine", |_| async { Ok(Arc::new(MemoryStore::new()) as Arc<dyn Store>) });
//! for seed in 0..10 {
//!     run(seed, std::slice::from_ref(&mine)).await.unwrap_or_else(|difference| panic!("{difference}"));
//! }
//! # }
//! ```

mod by;
mod deed;
mod entries;
mod hand;
mod lines;
mod mail;
mod names;
mod place;
mod scene;
mod shrink;
mod subject;

pub use shrink::run;
pub use subject::{Difference, Subject};
