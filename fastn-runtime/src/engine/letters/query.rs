//! Which letters.

use fastn_core::{FailureKind, TenantId, Timestamp, Version, WorkflowName};
use fastn_store::{RunNo, RunQuery, RunStatus, RunSummary};

/// Which dead letters.
#[derive(Clone, Debug, Default)]
pub struct LetterQuery {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only of this workflow.
    pub workflow: Option<WorkflowName>,
    /// Only of this version of it.
    pub version: Option<Version>,
    /// Only those that failed in this way.
    pub kind: Option<FailureKind>,
    /// Only those that ended at this time or later.
    pub ended_from: Option<Timestamp>,
    /// Only those that ended before this time.
    pub ended_before: Option<Timestamp>,
    /// Only those that were neither retried nor dismissed.
    pub open: bool,
    /// Only of runs that were created before this one: the `next` of the page before.
    pub before: Option<RunNo>,
    /// At most so many; 0 is taken as 100.
    pub limit: u32,
}

/// How many runs are looked at in one go.
const PAGE: u32 = 200;

impl LetterQuery {
    /// The runs among which they are.
    pub(super) fn runs(&self) -> RunQuery {
        RunQuery {
            tenant: self.tenant.clone(),
            workflow: self.workflow.clone(),
            status: vec![RunStatus::Failed, RunStatus::Stuck],
            before: self.before,
            limit: PAGE,
            ..RunQuery::default()
        }
    }

    pub(super) fn most(&self) -> usize {
        if self.limit == 0 { 100 } else { usize::try_from(self.limit).unwrap_or(usize::MAX) }
    }

    /// Whether a run that failed is one of them, as far as can be told without its records.
    pub(super) fn may_have(&self, run: &RunSummary) -> bool {
        let ended = run.finished_at.unwrap_or(run.created_at);
        self.version.is_none_or(|version| version == run.definition.version)
            && self.ended_from.is_none_or(|from| from <= ended)
            && self.ended_before.is_none_or(|before| ended < before)
    }
}
