//! How long runs are kept after they have ended.

use std::time::Duration;

#[cfg(feature = "sqlite")]
use fastn_core::Timestamp;
use fastn_core::{TenantId, WorkflowName};

use crate::RunStatus;

/// How long runs are kept after they have ended: by default 30 days, whatever they are. Runs that have not ended are always
/// kept.
///
/// SQLite and Postgres delete them then, with all that they have; the memory store keeps everything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Retention {
    pub(crate) rules: Vec<Rule>,
    pub(crate) otherwise: Option<Duration>,
}

/// For which runs, and for how long. What is not said fits any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only of this workflow.
    pub workflow: Option<WorkflowName>,
    /// Only those that ended so.
    pub status: Option<RunStatus>,
    /// For how long; `None` for ever.
    pub keep: Option<Duration>,
}

impl Default for Retention {
    fn default() -> Self {
        Self::of(Duration::from_secs(30 * 24 * 60 * 60))
    }
}

impl Retention {
    /// All for so long.
    pub const fn of(keep: Duration) -> Self {
        Self { rules: Vec::new(), otherwise: Some(keep) }
    }

    /// All for ever.
    pub const fn forever() -> Self {
        Self { rules: Vec::new(), otherwise: None }
    }

    /// Some for another time. Of several rules that fit a run, the one that was said first counts.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Whether a run that ended then, in this way, is kept still.
    #[cfg(feature = "sqlite")]
    pub(crate) fn keeps(&self, run: (&str, &str, RunStatus), finished_at: Timestamp, now: Timestamp) -> bool {
        let (tenant, workflow, status) = run;
        let fits = |rule: &&Rule| {
            rule.tenant.as_ref().is_none_or(|of| of.as_str() == tenant)
                && rule.workflow.as_ref().is_none_or(|of| of.as_str() == workflow)
                && rule.status.is_none_or(|of| of == status)
        };
        let keep = self.rules.iter().find(fits).map_or(self.otherwise, |rule| rule.keep);
        keep.is_none_or(|keep| finished_at.plus(keep) > now)
    }

    /// The shortest time that any run is kept for; `None` if all are kept for ever.
    pub(crate) fn shortest(&self) -> Option<Duration> {
        self.rules.iter().map(|rule| rule.keep).chain([self.otherwise]).flatten().min()
    }
}
