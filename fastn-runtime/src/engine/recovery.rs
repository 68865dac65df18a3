//! Runs that are in the store but not in memory: those under way when a process died, and those that wait for long.

use std::sync::Arc;

use fastn_core::{Error, ErrorKind, Result};
use fastn_store::{ClaimAsk, History, RunKey, RunNo};

use super::core::{Core, Keeper};
use super::run::Run;
use super::strand;
use crate::machine::Machine;

/// How many runs are claimed at a time.
const PAGE: u32 = 512;

/// Takes over every unfinished run that this engine serves. Runs beside everything else; a run that cannot be read keeps
/// no other from being taken over.
pub(super) async fn run(core: Arc<Core>) {
    let Keeper::Durable { store, lease, .. } = &core.keeper else { return };
    let serves: Vec<_> = core.definitions.keys().cloned().collect();
    let mut count = 0_usize;
    while !core.is_stopping() {
        let ask = ClaimAsk { lease: lease.token, now: core.clock.now(), serves: serves.clone(), limit: PAGE };
        let claimed = match store.claim(ask).await {
            Ok(claimed) if claimed.is_empty() => break,
            Ok(claimed) => claimed,
            Err(error) if error.is_transient() => {
                tracing::warn!(error = ?error, "runs could not be claimed; trying again");
                core.clock.sleep_until(core.clock.now().plus(std::time::Duration::from_millis(200))).await;
                continue;
            }
            Err(error) => {
                tracing::error!(error = ?error, "runs could not be claimed");
                break;
            }
        };
        count += claimed.len();
        for run in claimed {
            let key = run.history.run.key.clone();
            if let Err(error) = take_over(&core, run.no, run.history) {
                tracing::error!(run = %key.run, error = ?error, "a run could not be taken over");
                core.dismiss(&key, Err(Arc::new(error)));
            }
        }
        tokio::task::yield_now().await;
    }
    if count > 0 {
        tracing::info!(runs = count, "unfinished runs were taken over");
    }
}

/// Brings a run back into memory that left it to wait. `None` if it is over.
pub(super) async fn load(core: &Arc<Core>, key: &RunKey) -> Result<Option<Arc<Run>>> {
    if let Some(run) = core.find(key) {
        return Ok(Some(run));
    }
    match core.store()?.read(key).await? {
        None => Err(Error::new(ErrorKind::NotFound, "find run").with("run", key.run)),
        Some(history) if history.outcome().is_some() => Ok(None),
        Some(history) if !core.definitions.contains_key(&history.run.definition) => {
            Err(Error::new(ErrorKind::Unsupported, "load run")
                .with("run", key.run)
                .with("workflow", &history.run.definition.workflow)
                .with("version", history.run.definition.version)
                .caused_by("this engine does not serve that version"))
        }
        Some(history) => {
            let no = history.run.no;
            take_over(core, no, history).map(Some)
        }
    }
}

/// Wakes a run that left memory to wait.
pub(super) async fn unpark(core: &Arc<Core>, key: &RunKey) {
    if let Err(error) = load(core, key).await {
        tracing::error!(run = %key.run, error = ?error, "a run that waited could not be loaded");
        if error.is_transient() {
            // Its time has come, so it must not be forgotten.
            core.timers.set(core.clock.now().plus(std::time::Duration::from_secs(1)), key.clone());
        } else {
            core.dismiss(key, Err(Arc::new(error)));
        }
    }
}

fn take_over(core: &Arc<Core>, no: RunNo, history: History) -> Result<Arc<Run>> {
    let summary = history.run;
    let definition = core.definitions.get(&summary.definition).ok_or_else(|| {
        Error::new(ErrorKind::Internal, "take over run").caused_by("the store gave a run that was not asked for")
    })?;
    let plan = definition.plan().clone();
    let machine = Machine::replay(plan, history.input, summary.created_at, &history.records)?;
    let next = history.records.len() as u64;
    let mut fresh = false;
    let run = core.admit(&summary.key, |watch| {
        fresh = true;
        let (key, definition) = (summary.key.clone(), definition.clone());
        Arc::new(Run::new(key, no, definition, summary.created_at, watch, (machine, next)))
    });
    if fresh {
        let pending = run.resume(core)?;
        strand::carry_on(core, &run, pending);
    }
    Ok(run)
}
