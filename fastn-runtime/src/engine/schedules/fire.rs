//! One run for one due time, whoever else fires it.

use std::sync::Arc;

use fastn_core::{Definition, ErrorKind, Payload, Result, RunId, TenantId, Timestamp};
use fastn_store::{EntryKey, RunKey, Then};

use super::stored::Stored;
use crate::engine::core::Core;
use crate::engine::start::Start;

/// The definition that a schedule starts, if this engine serves it.
pub(super) fn served(core: &Core, stored: &Stored) -> Option<Definition> {
    let (workflow, version) = stored.workflow();
    let wanted = core.definitions.iter().filter(|(key, _)| key.workflow == *workflow);
    let wanted = wanted.filter(|(key, _)| version.is_none_or(|version| key.version == version));
    wanted.max_by_key(|(key, _)| key.version).map(|(_, served)| served.definition.clone())
}

/// A run of a schedule that is about to be started, where its runs wait.
pub(super) fn start(
    core: &Arc<Core>,
    key: &EntryKey,
    stored: &Stored,
    definition: &Definition,
    input: Result<Payload>,
) -> Start<()> {
    let start = Start::given(core.clone(), definition, input).tenant(key.tenant.clone());
    match &stored.queue {
        Some(queue) => start.queue(queue.as_str()).priority(stored.priority),
        None => start,
    }
}

/// Has the run of a due time started, and comes back when that is durable. If it was started before, that is as good.
pub(super) async fn fire(
    core: &Arc<Core>,
    key: &EntryKey,
    stored: &Stored,
    definition: &Definition,
    due: Timestamp,
) -> Result<RunId> {
    let run = stored.run(key, due);
    match start(core, key, stored, definition, stored.payload(due)).id(run).await {
        Ok(_) => Ok(run),
        // It was started before the schedule was given another workflow or input: the due time has its run.
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(run),
        Err(error) => Err(error),
    }
}

/// Whether there is such a run.
pub(super) async fn exists(core: &Core, tenant: &TenantId, run: RunId) -> Result<bool> {
    let key = RunKey { tenant: tenant.clone(), run };
    Ok(core.find(&key).is_some() || core.services.store()?.summaries(&[key]).await?.iter().any(Option::is_some))
}

/// Whether a run has ended, or was deleted since.
pub(super) async fn is_over(core: &Core, tenant: &TenantId, run: RunId) -> Result<bool> {
    let key = RunKey { tenant: tenant.clone(), run };
    if let Some(run) = core.find(&key) {
        return Ok(matches!(run.then(), Then::End(_)));
    }
    let found = core.services.store()?.summaries(&[key]).await?;
    Ok(found.iter().flatten().all(|run| run.status.is_final()))
}
