//! Lists of runs.

use fastn_core::{TenantId, WorkflowName};

use super::{RunNo, RunStatus, RunSummary};

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunQuery {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only of this workflow.
    pub workflow: Option<WorkflowName>,
    /// Only in one of these; empty for any.
    pub status: Vec<RunStatus>,
    /// Only those that this lease has, by its token: none that has ended, and none if the lease has.
    pub holder: Option<u64>,
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
