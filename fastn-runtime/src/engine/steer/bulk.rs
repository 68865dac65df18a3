//! Steering many runs: looked at first, then page by page.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastn_core::{By, Error, ErrorKind, Result, TenantId, Timestamp, Version, WorkflowName};
use fastn_store::{RunKey, RunNo, RunQuery, RunStatus, RunSummary, Store};

use super::order;
use crate::engine::core::Core;

/// How many runs are looked at in one go.
const PAGE: u32 = 200;

/// How many of the runs are shown that something would be done to.
const SAMPLE: usize = 10;

/// Which of the runs that have not ended.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only of this workflow.
    pub workflow: Option<WorkflowName>,
    /// Only of this version of it.
    pub version: Option<Version>,
    /// Only in one of these; empty for any.
    pub status: Vec<RunStatus>,
    /// Only those that are paused, or are not.
    pub paused: Option<bool>,
    /// Only those that [hold](RunSummary::is_held), or do not.
    pub held: Option<bool>,
    /// Only those that were started at this time or later.
    pub started_from: Option<Timestamp>,
    /// Only those that were started before this time.
    pub started_before: Option<Timestamp>,
    /// Only those that were created before this one: the `next` of the page before.
    pub before: Option<RunNo>,
    /// At most so many; 0 is taken as 100.
    pub limit: u32,
}

impl RunFilter {
    fn most(&self) -> usize {
        if self.limit == 0 { 100 } else { usize::try_from(self.limit).unwrap_or(usize::MAX) }
    }

    fn has(&self, run: &RunSummary) -> bool {
        self.version.is_none_or(|version| version == run.definition.version)
            && self.paused.is_none_or(|paused| paused == run.is_paused())
            && self.held.is_none_or(|held| held == run.is_held())
            && self.started_from.is_none_or(|from| from <= run.created_at)
            && self.started_before.is_none_or(|before| run.created_at < before)
    }

    fn query(&self) -> RunQuery {
        let unfinished = |status: &RunStatus| !status.is_final();
        let wanted = |status: &RunStatus| self.status.is_empty() || self.status.contains(status);
        RunQuery {
            tenant: self.tenant.clone(),
            workflow: self.workflow.clone(),
            status: RunStatus::ALL.iter().copied().filter(unfinished).filter(wanted).collect(),
            before: self.before,
            limit: PAGE,
            ..RunQuery::default()
        }
    }
}

/// What is done to many runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Steering {
    /// They are [cancelled](crate::Runs::cancel).
    Cancel,
    /// They are [paused](crate::Runs::pause).
    Pause,
    /// They [go on](crate::Runs::resume).
    Resume,
}

/// What would be steered.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    /// How many runs there are, whatever the limit says.
    pub runs: u64,
    /// How many of each status.
    pub statuses: BTreeMap<RunStatus, u64>,
    /// The newest of them.
    pub sample: Vec<RunSummary>,
}

/// What became of a page of runs that were steered.
#[derive(Debug, Default)]
pub struct Steered {
    /// Those that were, or will be when whoever has them hears of it.
    pub done: Vec<RunKey>,
    /// Those of which there was nothing to do: they were so already, or have ended since.
    pub in_vain: Vec<RunKey>,
    /// Those of which it could not be done, and why.
    pub refused: Vec<(RunKey, Error)>,
    /// Where to go on; `None` if nothing is left.
    pub next: Option<RunNo>,
}

/// What a filter is about.
pub(in crate::engine) async fn matching(store: &Arc<dyn Store>, filter: &RunFilter) -> Result<Matching> {
    let (mut query, mut found) = (filter.query(), Matching::default());
    if query.status.is_empty() {
        return Ok(found);
    }
    loop {
        let page = store.list(query.clone()).await?;
        for run in page.runs.into_iter().filter(|run| filter.has(run)) {
            found.runs += 1;
            *found.statuses.entry(run.status).or_default() += 1;
            if found.sample.len() < SAMPLE {
                found.sample.push(run);
            }
        }
        query.before = page.next;
        if page.next.is_none() {
            return Ok(found);
        }
    }
}

/// Steers the runs of a filter, at most as many as it says. One that cannot be steered keeps no other from it; but when the store
/// or the engine fails, the rest is left.
pub(in crate::engine) async fn steer_all(
    core: &Arc<Core>,
    filter: &RunFilter,
    steering: Steering,
    by: &By,
) -> Result<Steered> {
    order::must_say_who(core, by, "steer runs")?;
    let store = core.services.store()?;
    let (mut query, mut steered) = (filter.query(), Steered::default());
    if query.status.is_empty() {
        return Ok(steered);
    }
    let mut left = filter.most();
    loop {
        let page = store.list(query.clone()).await?;
        for run in page.runs {
            // Where to go on from, should this one be left.
            let at = query.before;
            query.before = Some(run.no);
            if !filter.has(&run) {
                continue;
            }
            if left == 0 {
                steered.next = at.or(Some(RunNo(run.no.0.saturating_add(1))));
                return Ok(steered);
            }
            left -= 1;
            let done = match steering {
                Steering::Cancel => order::cancel(core, &run.key, by).await,
                Steering::Pause => order::pause(core, &run.key, by).await,
                Steering::Resume => order::resume(core, &run.key, by).await,
            };
            match done {
                Ok(true) => steered.done.push(run.key),
                Ok(false) => steered.in_vain.push(run.key),
                Err(error) => {
                    let fails_for_all = error.is_transient() || error.kind() == ErrorKind::Closed;
                    steered.refused.push((run.key, error));
                    if fails_for_all {
                        steered.next = at.or(Some(RunNo(run.no.0.saturating_add(1))));
                        return Ok(steered);
                    }
                }
            }
        }
        query.before = page.next;
        if page.next.is_none() {
            return Ok(steered);
        }
    }
}
