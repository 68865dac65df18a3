//! Runs workflows.
//!
//! [`machine`] is the pure part: a run as a function of its records. [`Engine`] drives machines: it makes attempts,
//! gathers their results in one journal for all runs, and goes on when they are durable.

mod chance;
mod clock;
mod engine;
mod flag;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod journal;
pub mod machine;
mod panics;
mod patience;
mod tasks;

pub use crate::clock::{Clock, SystemClock};
pub use crate::engine::{
    AuditMark, AuditPage, AuditQuery, Audited, Deed, Fork, Matching, Paused, RunFilter, Steered, Steering,
};
#[cfg(feature = "schedules")]
pub use crate::engine::{Backfilled, CatchUp, Overlap, Schedule, ScheduleInfo, ScheduleInput, Schedules};
pub use crate::engine::{
    Batching, Delivery, Engine, EngineBuilder, Explanation, Held, Inspection, Queue, Queues, RunEvent, RunEvents,
    RunHandle, Runs, SendSignal, Singleton, Start, StartBatched, StoreSource,
};
pub use crate::engine::{
    DeadEvent, DeadLetter, DeadLetters, Dismissal, DismissedAll, EventMark, EventPage, EventQuery, LetterPage,
    LetterQuery, LetterRetry, Retrial, RetriedAll, ToldAgain,
};
pub use crate::tasks::{EngineTask, Spawner};
