//! What proves fastn, for hosts to use on their own workflows and stores.
//!
//! * [`conformance`] puts a store through everything that stores promise.
//! * [`differential`] does the same things to several stores and compares what they answer.
//! * [`sweep`] lets the process of a workflow die at every store call and counts the [`Effects`] of its steps.
//! * [`simulation`] runs the real engine in worlds of its own, where everything goes wrong that can, by a seed.
//! * [`every_step_twice`] shows which steps of a workflow are not idempotent, and [`every_call_twice`] which actions of
//!   connectors.
//! * [`sample`] has runs and records for tests of stores.
//! * [`sketch`] writes drafts of workflows in a line per node, so that a test shows the graph it is about.
//! * [`ManualClock`] is time that passes when the test says so.
//! * [`MeterStore`] wraps a store and counts what it is asked to do.
//! * [`FaultStore`] wraps a store and fails as the test says.
//! * `server`, behind the features `postgres-server` and `redis-server`, starts a server for a test or a bench, and stops it.

mod clock;
pub mod conformance;
mod dice;
pub mod differential;
mod effects;
mod fault;
mod meter;
mod paths;
pub mod sample;
#[cfg(all(any(feature = "postgres-server", feature = "redis-server"), unix))]
pub mod server;
pub mod simulation;
pub mod sketch;
pub mod sweep;
mod twice;
mod twice_called;

pub use crate::clock::ManualClock;
pub use crate::effects::Effects;
pub use crate::fault::{Fault, FaultStore};
pub use crate::meter::{Cost, MeterStore};
pub use crate::twice::{every_step_twice, one_step_twice};
pub use crate::twice_called::{every_call_twice, one_call_twice};
