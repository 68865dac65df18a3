//! What every store promises, as cases that any store can be put through.
//!
//! A store's own repository has a test with `harness = false` that is nothing but this:
//!
//! ```no_run
//! # use std::{process::ExitCode, sync::Arc};
//! use fastn_store::{MemoryStore, Store};
//! use fastn_testkit::conformance::Suite;
//!
//! fn main() -> ExitCode {
//!     Suite::new().backend("mine", || async { Ok(Some(Arc::new(MemoryStore::new()) as Arc<dyn Store>)) }).run()
//! }
//! ```
//!
//! It takes what every test takes: filters, `--list`, `--exact`. Each case gets a store of its own that is fresh and
//! empty, and a runtime of its own. Nothing sleeps: time is an argument, so that an hour's lease expires at once.
//!
//! A store cannot choose cases. What it may lack is a [`Capability`], which it says with [`Suite::without`]; the cases
//! that need it are then shown as ignored, by the name of what is missing. A case of its own finds out whether what was
//! said is true.

mod capability;
mod case;
mod cases;
mod report;
mod suite;
mod trial;

pub use capability::Capability;
pub use report::{CaseReport, Report, Verdict};
pub use suite::Suite;
