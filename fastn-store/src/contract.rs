//! The contract between an engine and the place where its runs live.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fastn_core::plan::PlanHash;
use fastn_core::{ExecutorId, Outcome, Payload, Record, Result, RunId, TenantId, Timestamp, Version, WorkflowName};

/// Where runs live between two turns.
///
/// # Contract
/// * [`commit`](Store::commit) is atomic: all writes of a batch become durable together, or none does. When it returns
///   `Ok`, they are on disk (as far as the store promises disks).
/// * It is fenced: under a lease that has ended or was taken over, it writes nothing and returns
///   [`ErrorKind::Fenced`](fastn_core::ErrorKind::Fenced).
/// * It is idempotent by key: a batch that is committed again after an unknown outcome changes nothing. A run is known by
///   its tenant and id, a turn by its run and its first sequence number.
/// * The records of one run are read back in the order in which they were committed, without gaps; the first has
///   sequence number 0.
/// * A run is in the hands of one lease at a time.
/// * Time is an argument. A store never asks the clock.
///
/// # Errors
/// Of every method: [`Unavailable`](fastn_core::ErrorKind::Unavailable) if trying again may help,
/// [`Corrupt`](fastn_core::ErrorKind::Corrupt) if stored data cannot be read,
/// [`Closed`](fastn_core::ErrorKind::Closed) after [`close`](Store::close); and what the method says itself.
///
/// # Cancel safety
/// Of every method: dropping the future does not undo the call; it may still take effect.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// What this store is, for people: `memory`, `sqlite:/var/lib/shop.db`.
    fn name(&self) -> String;

    /// Takes a lease, under which runs are created, claimed and continued.
    ///
    /// # Errors
    /// [`Locked`](fastn_core::ErrorKind::Locked) if the store allows one lease at a time and another live process
    /// holds it.
    async fn acquire(&self, ask: LeaseAsk) -> Result<Lease>;

    /// Extends a lease to `until`.
    ///
    /// # Errors
    /// [`Fenced`](fastn_core::ErrorKind::Fenced) if it has ended.
    async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<()>;

    /// Ends a lease; its runs can be claimed by others at once. Ending it twice is no error.
    async fn release(&self, lease: &Lease) -> Result<()>;

    /// Makes a batch of writes true together. One result per write, in their order.
    ///
    /// # Errors
    /// [`Fenced`](fastn_core::ErrorKind::Fenced) as above;
    /// [`Invalid`](fastn_core::ErrorKind::Invalid) if a turn is for a run that the lease does not hold or leaves a gap.
    async fn commit(&self, batch: Batch) -> Result<Vec<Written>>;

    /// Puts unfinished runs that nobody holds into the hands of a lease, oldest first, together with their records.
    /// Runs of definitions that are not in [`ClaimAsk::serves`] are left alone.
    ///
    /// # Errors
    /// [`Fenced`](fastn_core::ErrorKind::Fenced) if the lease has ended.
    async fn claim(&self, ask: ClaimAsk) -> Result<Vec<Claimed>>;

    /// Gives a run, with its records; `None` if there is none of that id.
    async fn read(&self, run: &RunKey) -> Result<Option<History>>;

    /// Gives the plan of a definition as it was with the first run of it; `None` if there was none.
    async fn plan(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<Option<String>>;

    /// Lists runs, newest first.
    async fn list(&self, query: RunQuery) -> Result<Page>;

    /// Deletes up to `limit` runs that finished before `before`; returns how many.
    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64>;

    /// Waits for what is under way, then frees every thread, file and connection. Every later call is
    /// [`Closed`](fastn_core::ErrorKind::Closed).
    async fn close(&self) -> Result<()>;
}

/// A run's identity: its tenant and its id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunKey {
    /// Whose run it is.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
}

/// A store's own short number for a run, growing with the order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunNo(pub u64);

/// What a run was started with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DefinitionKey {
    /// The workflow.
    pub workflow: WorkflowName,
    /// Its version.
    pub version: Version,
    /// The shape of its plan: see [`fastn_core::Plan::shape`].
    pub shape: PlanHash,
}

/// Asks for a lease.
#[derive(Clone, Debug)]
pub struct LeaseAsk {
    /// Who asks, for people to see.
    pub executor: ExecutorId,
    /// The present time.
    pub now: Timestamp,
    /// How long the lease lasts unless it is renewed.
    pub ttl: Duration,
}

/// The right of one executor to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whose it is.
    pub executor: ExecutorId,
    /// The fencing token: every lease of a store has a larger one than all before it.
    pub token: u64,
    /// When it ends unless it is renewed.
    pub until: Timestamp,
}

/// Writes that must become true together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The token of the lease under which turns are written and new runs are held. Without one, only runs can be
    /// created, and nobody holds them.
    pub lease: Option<u64>,
    /// The present time.
    pub now: Timestamp,
    /// The writes.
    pub writes: Vec<Write>,
}

/// One write of a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Write {
    /// A new run.
    Create(Arc<NewRun>),
    /// Something happened in a run.
    Turn(Turn),
}

/// A run that is to be.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its identity.
    pub key: RunKey,
    /// What it runs.
    pub definition: DefinitionKey,
    /// The plan of that definition for those who read the run without its program: see
    /// [`Plan::to_editor_json`](fastn_core::Plan::to_editor_json). Kept once for each definition.
    pub plan: Option<Arc<str>>,
    /// What it is given.
    pub input: Payload,
    /// When it was started.
    pub created_at: Timestamp,
}

/// Records that are added to a run, and what is to be next.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The run.
    pub run: RunNo,
    /// The sequence number of its first record here.
    pub first: u64,
    /// How many records there are.
    pub count: u32,
    /// The records: a CBOR sequence, see [`Record`].
    pub records: Bytes,
    /// What is next for the run.
    pub then: Then,
}

/// What is next for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Then {
    /// It goes on at once.
    Run,
    /// Nothing happens before this time, unless something comes from outside.
    Wait(Timestamp),
    /// It has ended in this way: nobody holds it any more. The last record is
    /// [`Finished`](fastn_core::Event::Finished).
    End(RunStatus),
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Written {
    /// The run was created.
    Created(RunNo),
    /// There is a run of that id already; nothing was written. The caller compares.
    Exists(Box<Existing>),
    /// The turn was written, now or before.
    Turned,
}

/// What was found instead of created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Existing {
    /// Its number.
    pub no: RunNo,
    /// What it runs.
    pub definition: DefinitionKey,
    /// What it was given.
    pub input: Payload,
    /// How it stands.
    pub status: RunStatus,
}

/// Asks for runs.
#[derive(Clone, Debug)]
pub struct ClaimAsk {
    /// The token of the lease that is to hold them.
    pub lease: u64,
    /// The present time.
    pub now: Timestamp,
    /// The definitions that the executor can run.
    pub serves: Vec<DefinitionKey>,
    /// At most so many runs.
    pub limit: u32,
}

/// A run that was claimed, with all that is recorded of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Its number, for its turns.
    pub no: RunNo,
    /// The run and its records.
    pub history: History,
}

/// A run and its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The run.
    pub run: RunSummary,
    /// What it was given.
    pub input: Payload,
    /// What happened, in order.
    pub records: Vec<Record>,
}

impl History {
    /// How the run ended; `None` while it has not.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self.records.last().map(|record| &record.event) {
            Some(fastn_core::Event::Finished { outcome }) => Some(outcome),
            _ => None,
        }
    }
}

/// How a run stands.
///
/// The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum RunStatus {
    /// Created, and in nobody's hands yet.
    Pending = 0,
    /// Under way: from its creation on, if that was under a lease.
    Running = 1,
    /// Nothing happens before a certain time, unless something comes from outside.
    Waiting = 2,
    /// Ended with its output.
    Succeeded = 10,
    /// Ended in failure; what had been done was undone.
    Failed = 11,
    /// Cancelled; what had been done was undone.
    Cancelled = 12,
    /// Ended, and something could not be undone: a person must look.
    Stuck = 13,
}

impl RunStatus {
    /// Every status.
    pub const ALL: &'static [Self] =
        &[Self::Pending, Self::Running, Self::Waiting, Self::Succeeded, Self::Failed, Self::Cancelled, Self::Stuck];

    /// The stored number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The status with this stored number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.code() == code)
    }

    /// Whether the run has ended.
    pub const fn is_final(self) -> bool {
        self.code() >= Self::Succeeded.code()
    }

    /// The status in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Stuck => "stuck",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A run without its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Its identity.
    pub key: RunKey,
    /// Its number: where [`RunQuery::before`] continues.
    pub no: RunNo,
    /// What it runs.
    pub definition: DefinitionKey,
    /// How it stands.
    pub status: RunStatus,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Before when nothing happens, while it waits.
    pub wake_at: Option<Timestamp>,
    /// The token of the lease that holds it, if one does.
    pub holder: Option<u64>,
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunQuery {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only of this workflow.
    pub workflow: Option<WorkflowName>,
    /// Only in one of these; empty for any.
    pub status: Vec<RunStatus>,
    /// Only those created before this one: the `next` of the page before.
    pub before: Option<RunNo>,
    /// At most so many; 0 is taken as 100.
    pub limit: u32,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<RunNo>,
}
