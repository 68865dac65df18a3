//! Runs that are in the store but not in memory: those under way when a process died, and those that wait for long.

use std::sync::Arc;
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result};
use fastn_store::{ClaimAsk, History, RunKey, RunNo, RunQuery, RunStatus};

use super::core::{Core, Served};
use super::run::Run;
use super::services::Keeper;
use super::strand;
use crate::machine::Machine;

/// How many runs are claimed at a time.
const PAGE: u32 = 512;

/// How long after nothing was found to claim it is looked again.
const AGAIN: Duration = Duration::from_secs(5);

/// How long after the store was unavailable it is asked again.
const SOON: Duration = Duration::from_millis(200);

/// Takes over every unfinished run that this engine serves and nobody holds, and looks again from time to time: another
/// engine may have died. Runs beside everything else; a run that cannot be read keeps no other from being taken over.
pub(super) async fn run(core: Arc<Core>) {
    let Keeper::Durable { store, lease, .. } = &core.services.keeper else { return };
    let serves: Vec<_> = core.definitions.keys().cloned().collect();
    let _recovered = core.recovered.raise_at_end();
    // Whether a claim failed: it may have taken effect all the same.
    let mut unsure = false;
    while !core.is_stopping() {
        let ask = ClaimAsk { lease: lease.token, now: core.services.clock.now(), serves: serves.clone(), limit: PAGE };
        let claiming = core.claiming.write().await;
        let claimed = match store.claim(ask).await {
            Ok(claimed) if claimed.is_empty() => {
                drop(claiming);
                core.recovered.raise();
                unsure = unsure && load_all_own(&core).await.is_err();
                core.services.clock.sleep(AGAIN).await;
                continue;
            }
            Ok(claimed) => claimed,
            Err(error) if error.is_transient() => {
                drop(claiming);
                unsure = true;
                tracing::warn!(error = ?error, "runs could not be claimed; trying again");
                core.services.clock.sleep(SOON).await;
                continue;
            }
            // Without its lease the engine is none.
            Err(error) if matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Closed) => {
                return core.halt(&Arc::new(error));
            }
            Err(error) => {
                drop(claiming);
                unsure = true;
                tracing::error!(error = ?error, "runs could not be claimed; trying again later");
                core.services.clock.sleep(AGAIN).await;
                continue;
            }
        };
        tracing::info!(runs = claimed.len(), "unfinished runs are taken over");
        for run in claimed {
            let key = run.history.run.key.clone();
            if let Err(error) = take_over(&core, run.no, run.history) {
                tracing::error!(run = %key.run, error = ?error, "a run could not be taken over");
                core.refuse(&key, error);
            }
        }
        drop(claiming);
        tokio::task::yield_now().await;
    }
}

/// Brings a run of this engine back into memory. `None` if it is over.
///
/// # Errors
/// `Unsupported` if this engine does not hold it.
pub(super) async fn load(core: &Arc<Core>, key: &RunKey) -> Result<Option<Arc<Run>>> {
    let mut found = find(core, key).await?;
    if matches!(found, Found::Unclaimed) && !core.recovered.is_raised() {
        // The engine was just opened, and the run may be about to be taken over.
        core.recovered.raised().await;
        found = find(core, key).await?;
    }
    let elsewhere = |why| Err(Error::new(ErrorKind::Unsupported, "load run").with("run", key.run).caused_by(why));
    match found {
        Found::Here(run) => Ok(Some(run)),
        Found::Over => Ok(None),
        Found::Unclaimed => elsewhere("this engine does not hold it".to_owned()),
        Found::NotServed(why) => elsewhere(why),
    }
}

/// Brings a run into memory if it is this engine's. While the store is unavailable this is tried again beside, whatever
/// becomes of the caller: nobody else would.
pub(super) async fn load_own(core: &Arc<Core>, key: &RunKey) -> Result<()> {
    let found = find(core, key).await.map(drop);
    if found.as_ref().is_err_and(Error::is_transient) {
        let (owner, key) = (core.clone(), key.clone());
        core.spawn(async move {
            while !owner.is_stopping() {
                owner.services.clock.sleep(SOON).await;
                match find(&owner, &key).await {
                    Err(error) if error.is_transient() => {}
                    Err(error) => return tracing::error!(run = %key.run, error = ?error, "a run could not be loaded"),
                    Ok(_) => return,
                }
            }
        });
    }
    found
}

/// Brings every run that this engine holds into memory: some may have been claimed by a call whose answer was lost, and
/// no claim gives them again.
async fn load_all_own(core: &Arc<Core>) -> Result<()> {
    let Keeper::Durable { store, lease, .. } = &core.services.keeper else { return Ok(()) };
    let status = RunStatus::ALL.iter().copied().filter(|status| !status.is_final()).collect();
    let mut query = RunQuery { status, limit: PAGE, ..RunQuery::default() };
    loop {
        let page = store.list(query.clone()).await?;
        for run in page.runs.iter().filter(|run| run.holder == Some(lease.token)) {
            load_own(core, &run.key).await?;
        }
        query.before = page.next;
        if page.next.is_none() {
            return Ok(());
        }
    }
}

enum Found {
    Here(Arc<Run>),
    Over,
    Unclaimed,
    NotServed(String),
}

async fn find(core: &Arc<Core>, key: &RunKey) -> Result<Found> {
    if let Some(run) = core.find(key) {
        return Ok(Found::Here(run));
    }
    let Keeper::Durable { store, lease, .. } = &core.services.keeper else { return Ok(Found::Over) };
    // In this order, so that who waits for the loading of a run does not wait for claims.
    let _claiming = core.claiming.read().await;
    let _loading = core.loading(key).await;
    if let Some(run) = core.find(key) {
        return Ok(Found::Here(run));
    }
    let history = store.read(key).await?;
    let history = history.ok_or_else(|| Error::new(ErrorKind::NotFound, "find run").with("run", key.run))?;
    let run = &history.run;
    if history.outcome().is_some() {
        return Ok(Found::Over);
    }
    if !core.definitions.contains_key(&run.definition) {
        let (workflow, version) = (&run.definition.workflow, run.definition.version);
        return Ok(Found::NotServed(format!("this engine does not serve {workflow} {version}")));
    }
    if run.holder != Some(lease.token) {
        return Ok(Found::Unclaimed);
    }
    take_over(core, run.no, history).map(Found::Here)
}

/// Wakes a run that left memory to wait.
pub(super) async fn unpark(core: &Arc<Core>, key: &RunKey) {
    if let Err(error) = load(core, key).await {
        tracing::error!(run = %key.run, error = ?error, "a run that waited could not be loaded");
        if error.is_transient() {
            // Its time has come, so it must not be forgotten.
            core.services.alarms.set(core.services.clock.now().plus(Duration::from_secs(1)), key.clone());
        } else {
            core.refuse(key, error);
        }
    }
}

fn take_over(core: &Arc<Core>, no: RunNo, history: History) -> Result<Arc<Run>> {
    let summary = history.run;
    let Served { definition, .. } = core.definitions.get(&summary.definition).ok_or_else(|| {
        Error::new(ErrorKind::Internal, "take over run").caused_by("the store gave a run that was not asked for")
    })?;
    let plan = definition.plan().clone();
    let machine = Machine::replay(plan, history.input, summary.created_at, &history.records)?;
    let next = history.records.len() as u64;
    let (run, pending) = core.admit(&summary.key, |watch| {
        let (key, definition) = (summary.key.clone(), definition.clone());
        let run = Arc::new(Run::new(key, no, definition, summary.created_at, watch, (machine, next)));
        let pending = run.resume(&core.services)?;
        Ok((run, pending))
    })?;
    if let Some(pending) = pending {
        strand::carry_on(core, &run, pending);
    }
    Ok(run)
}
