//! Schedules: runs that are started when they are due.
//!
//! | room | what is there |
//! |---|---|
//! | `spec` | what hosts say about a schedule |
//! | `stored` | how it is kept in the store's repository |
//! | `due` | which due time is next, and what becomes of those that were missed |
//! | `wall` | the clock that all executors go by |
//! | `desk` | when to look at which schedule |
//! | `shelf` | reading and changing what is kept |
//! | `fire` | one run for one due time, whoever else fires it |
//! | `tend` | what is to be done about one schedule |
//! | `watchman` | the task that tends each in its time |
//! | `schedules`, `info` | what hosts call |
//!
//! A due time has one run: its id is derived from the schedule and the due time, so that whoever starts it again attaches
//! to it. That a due time was fired is written, by compare-and-swap, after its run is durable: whoever dies in between
//! leaves a run that the next one finds. How far a schedule is all executors share, so that what is due is judged by the
//! store's clock where it has one, and never by an executor's own.

pub(super) mod desk;
mod due;
mod fire;
#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing;
mod info;
#[allow(clippy::module_inception, reason = "the room of what is called `engine.schedules()`")]
mod schedules;
mod shelf;
mod spec;
mod stored;
mod tend;
mod wall;
pub(super) mod watchman;

pub use info::{Backfilled, ScheduleInfo};
pub use schedules::Schedules;
pub use spec::{CatchUp, Overlap, Schedule, ScheduleInput};
