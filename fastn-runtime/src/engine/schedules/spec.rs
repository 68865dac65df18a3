//! What hosts say about a schedule.

use std::time::Duration;

use fastn_core::{
    EntryName, Error, ErrorKind, Payload, QueueName, Result, TenantId, Timestamp, Version, Workflow, WorkflowName,
};
use fastn_schedule::{Calendar, Zone};
use serde::{Deserialize, Serialize};

/// Starts runs of a workflow when they are due.
///
/// ```
/// # use fastn_core::{Timestamp, Workflow};
/// # use fastn_runtime::{CatchUp, Overlap, Schedule};
/// # use fastn_schedule::Calendar;
/// # fn f(report: &Workflow<String, ()>) -> fastn_core::Result<Schedule> {
/// let schedule = Schedule::new("monday report", report, &"sales".to_owned(), Calendar::cron("30 9 * * MON")?)?
///     .zone("Europe/Berlin".parse()?)
///     .overlap(Overlap::BufferOne)
///     .catch_up(CatchUp::Latest);
/// # Ok(schedule)
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[must_use = "a schedule is kept by `Schedules::put`"]
pub struct Schedule {
    /// Whose it is, and whose its runs are.
    pub tenant: TenantId,
    /// Its name, unique inside its tenant.
    pub name: EntryName,
    /// What it starts.
    pub workflow: WorkflowName,
    /// Which version of it; `None` for the newest that the engine that fires it serves.
    pub version: Option<Version>,
    /// What its runs are given.
    pub input: ScheduleInput,
    /// When it is due.
    pub calendar: Calendar,
    /// By whose clocks.
    pub zone: Zone,
    /// What happens when it is due while its previous run is still under way.
    pub overlap: Overlap,
    /// What happens to due times at which no engine was there.
    pub catch_up: CatchUp,
    /// Runs are started up to so much later than they are due, each by a span of its own.
    pub jitter: Duration,
    /// The queue in which its runs wait until it is their turn; `None` if they wait in none.
    pub queue: Option<QueueName>,
    /// What goes before what there: see [`Start::priority`](crate::Start::priority).
    pub priority: i16,
    /// Whether it fires nothing, until it is resumed.
    pub paused: bool,
}

/// What the runs of a schedule are given.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ScheduleInput {
    /// Always the same.
    Constant(Payload),
    /// The time at which the run is due, as a [`Timestamp`].
    DueTime,
}

/// What happens when a schedule is due while a run that it started is still under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Overlap {
    /// The due time is passed over.
    #[default]
    Skip,
    /// Another run is started beside it.
    Allow,
    /// Another run is started when it has ended. One due time waits at most; those after it are passed over.
    BufferOne,
    /// It is cancelled, and another run is started once that is recorded, while what was done is being undone.
    CancelRunning,
}

/// What happens to due times that were missed because no engine was there, or because a clock jumped.
///
/// A due time that is not ten seconds past, beside the jitter, was not missed: it is fired whatever this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CatchUp {
    /// They are passed over.
    Skip,
    /// The last of them is fired, unless another is due just now.
    #[default]
    Latest,
    /// Those that are no longer past than `within` are fired, one after the other, but no more than the last `most`.
    All {
        /// How long they may be past.
        within: Duration,
        /// How many at most: up to a thousand.
        most: u32,
    },
}

/// The largest number of due times that are fired late.
pub(super) const MOST: u32 = 1_000;

/// The largest jitter.
const MOST_JITTER: Duration = Duration::from_secs(3_600);

impl Schedule {
    /// Starts runs of a workflow with the same input each time.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if this cannot be a name, or the input cannot be encoded.
    pub fn new<I: Serialize, O>(
        name: &str,
        workflow: &Workflow<I, O>,
        input: &I,
        calendar: impl Into<Calendar>,
    ) -> Result<Self> {
        let input = ScheduleInput::Constant(Payload::encode(input)?);
        Self::of(name, workflow.definition().plan().name().clone(), input, calendar)
    }

    /// Starts runs of a workflow that is given the time at which each is due.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if this cannot be a name.
    pub fn with_due_time<O>(
        name: &str,
        workflow: &Workflow<Timestamp, O>,
        calendar: impl Into<Calendar>,
    ) -> Result<Self> {
        Self::of(name, workflow.definition().plan().name().clone(), ScheduleInput::DueTime, calendar)
    }

    /// Starts runs of a workflow that is known by its name only.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if this cannot be a name.
    pub fn of(name: &str, workflow: WorkflowName, input: ScheduleInput, calendar: impl Into<Calendar>) -> Result<Self> {
        Ok(Self {
            tenant: TenantId::default(),
            name: named(name)?,
            workflow,
            version: None,
            input,
            calendar: calendar.into(),
            zone: Zone::utc(),
            overlap: Overlap::default(),
            catch_up: CatchUp::default(),
            jitter: Duration::ZERO,
            queue: None,
            priority: 0,
            paused: false,
        })
    }

    /// It is this tenant's.
    pub fn tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = tenant;
        self
    }

    /// It goes by the clocks of this zone; by default UTC.
    pub fn zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    /// It starts this version of the workflow, and is fired by engines that serve that one only; by default the newest that
    /// is served.
    pub fn version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// What happens when it is due while its previous run is still under way; by default [`Overlap::Skip`].
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// What happens to due times at which no engine was there; by default [`CatchUp::Latest`].
    pub fn catch_up(mut self, catch_up: CatchUp) -> Self {
        self.catch_up = catch_up;
        self
    }

    /// Runs are started up to so much later than they are due, an hour at most, each by a span of its own that is the same
    /// for all executors; by default not at all.
    pub fn jitter(mut self, most: Duration) -> Self {
        self.jitter = most;
        self
    }

    /// Its runs wait in this queue until it is their turn. One that waits is under way, for [`Overlap`].
    pub fn queue(mut self, name: QueueName) -> Self {
        self.queue = Some(name);
        self
    }

    /// Of the runs that wait in its queue those with larger numbers go first; by default 0.
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = priority;
        self
    }

    /// Whether it is paused when it is created. One that exists stays as it is: see [`Schedules::put`](super::Schedules).
    pub fn paused(mut self, paused: bool) -> Self {
        self.paused = paused;
        self
    }

    /// Checks what the types do not.
    pub(super) fn check(&self, largest: usize) -> Result<()> {
        const OP: &str = "put schedule";
        let input = if let ScheduleInput::Constant(input) = &self.input { input.len() } else { 0 };
        if input > largest {
            return Err(Error::new(ErrorKind::TooLarge, OP).with("input", input).with("most", largest));
        }
        if self.jitter > MOST_JITTER {
            return Err(Error::new(ErrorKind::Invalid, OP).caused_by("its jitter is longer than an hour"));
        }
        if matches!(self.catch_up, CatchUp::All { most, .. } if most > MOST) {
            return Err(Error::new(ErrorKind::Invalid, OP).caused_by("it would catch up on more than a thousand"));
        }
        Ok(())
    }
}

/// A text as the name of a schedule.
pub(super) fn named(name: &str) -> Result<EntryName> {
    EntryName::new(name).map_err(|e| Error::new(ErrorKind::Invalid, "name schedule").caused_by(e))
}
