//! A run, and what is known of it.

use fastn_core::plan::PlanHash;
use fastn_core::{Outcome, Payload, Record, RunId, TenantId, Timestamp, Version, WorkflowName};

use super::RunStatus;

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

/// A run without its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Its identity.
    pub key: RunKey,
    /// Its number: where [`RunQuery::before`](super::RunQuery::before) continues.
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

/// Until when a run waits that is paused, as its [turns](super::Then::Wait) say: so long that nothing is missed by who takes it
/// for a wait like others.
pub const PAUSED: Timestamp = Timestamp::from_micros(i64::MAX - 1);

/// Until when a run waits that goes on only when a person has said what became of a step, if it waits for nothing that has a
/// time.
pub const HELD: Timestamp = Timestamp::from_micros(i64::MAX - 2);

impl RunSummary {
    /// Whether it goes on only when a person has said what became of a step whose executor died.
    pub fn is_held(&self) -> bool {
        !self.status.is_final() && self.wake_at == Some(HELD)
    }

    /// Whether somebody has paused it, and nothing is under way any more.
    pub fn is_paused(&self) -> bool {
        !self.status.is_final() && self.wake_at == Some(PAUSED)
    }
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
