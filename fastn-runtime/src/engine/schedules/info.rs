//! What hosts are told of schedules.

use fastn_core::{RunId, Timestamp};

use super::spec::Schedule;

/// A schedule, and how far it is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScheduleInfo {
    /// What was said of it.
    pub schedule: Schedule,
    /// Every due time up to here was fired or passed over.
    pub fired_up_to: Timestamp,
    /// When it fires next, if it does not stay paused; `None` if never again.
    pub next: Option<Timestamp>,
    /// The due time whose run waits for the previous one to end.
    pub buffered: Option<Timestamp>,
    /// How many due times were passed over because a run was under way.
    pub skipped: u64,
    /// The runs that it started and that were under way when it was last due. Empty if it may have several.
    pub open: Vec<RunId>,
}

/// What came of a backfill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backfilled {
    /// The runs that were started, in the order of their due times.
    pub started: Vec<RunId>,
    /// How many due times had their run already.
    pub existed: u64,
}
