//! Runs that are in the store but not in memory: those under way when a process died, and those that wait for long.

use std::sync::Arc;
use std::time::Duration;

use fastn_core::{Definition, Error, ErrorKind, Result};
use fastn_store::{ClaimAsk, History, RunKey, RunQuery, RunStatus, RunSummary};

use super::core::{Core, Served};
use super::pending::Pending;
use super::run::Run;
use super::services::Keeper;
use super::strand;
use super::watch::Watch;
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
                if unsure {
                    let loaded = load_all_own(&core).await;
                    unsure = loaded.is_err();
                    if let Err(error) = loaded {
                        tracing::warn!(error = ?error, "runs of this engine could not be looked for; trying again");
                    }
                }
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
            if let Err(error) = take_over(&core, run.history) {
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
        core.spawn(Box::pin(async move {
            while !owner.is_stopping() {
                owner.services.clock.sleep(SOON).await;
                match find(&owner, &key).await {
                    Err(error) if error.is_transient() => {}
                    Err(error) => return tracing::error!(run = %key.run, error = ?error, "a run could not be loaded"),
                    Ok(_) => return,
                }
            }
        }));
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
            match load_own(core, &run.key).await {
                Err(error) if !error.is_transient() => {
                    tracing::error!(run = %run.key.run, error = ?error, "a run of this engine could not be loaded");
                    core.refuse(&run.key, error);
                }
                loaded => loaded?,
            }
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
    loop {
        if let Some(run) = core.find(key) {
            return Ok(Found::Here(run));
        }
        // Kept while the run is read, so that it is noticed if it comes into memory meanwhile.
        let watch = core.watch(key);
        let found = read(core, key, &watch).await;
        drop(watch);
        match found {
            Ok(Some(Found::Here(run))) => return Ok(Found::Here(run)),
            // It was in memory since, and is no longer.
            Ok(None) => {}
            Ok(Some(other)) => {
                core.unwatch(key);
                return Ok(other);
            }
            Err(error) => {
                core.unwatch(key);
                return Err(error);
            }
        }
    }
}

/// Reads a run and brings it into memory; `None` if what was read is out of date.
async fn read(core: &Arc<Core>, key: &RunKey, watch: &Watch) -> Result<Option<Found>> {
    let Keeper::Durable { store, lease, .. } = &core.services.keeper else { return Ok(Some(Found::Over)) };
    // In this order, so that who waits for the loading of a run does not wait for claims.
    let _claiming = core.claiming.read().await;
    let _loading = core.loading(key).await;
    let seen = watch.times_begun();
    if let Some(run) = core.find(key) {
        return Ok(Some(Found::Here(run)));
    }
    let history = store.read(key).await?;
    let history = history.ok_or_else(|| Error::new(ErrorKind::NotFound, "find run").with("run", key.run))?;
    let run = &history.run;
    if history.outcome().is_some() {
        return Ok(Some(Found::Over));
    }
    if !core.definitions.contains_key(&run.definition) {
        let (workflow, version) = (&run.definition.workflow, run.definition.version);
        return Ok(Some(Found::NotServed(format!("this engine does not serve {workflow} {version}"))));
    }
    if run.holder != Some(lease.token) {
        return Ok(Some(Found::Unclaimed));
    }
    let replayed = replay(core, history)?;
    let admitted = core.admit_since(key, watch, seen, |watch| replayed.begin(core, watch))?;
    Ok(admitted.map(|admitted| Found::Here(carry_on(core, admitted))))
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

/// Brings a run that was just claimed into memory.
fn take_over(core: &Arc<Core>, history: History) -> Result<()> {
    let key = history.run.key.clone();
    let replayed = replay(core, history)?;
    let admitted = core.admit(&key, |watch| replayed.begin(core, watch))?;
    carry_on(core, admitted);
    Ok(())
}

fn carry_on(core: &Arc<Core>, (run, pending): (Arc<Run>, Option<Pending>)) -> Arc<Run> {
    if let Some(pending) = pending {
        strand::carry_on(core, &run, pending);
    }
    run
}

/// A run as it was read, before it comes into memory.
struct Replayed {
    summary: RunSummary,
    definition: Definition,
    machine: Machine,
    next: u64,
}

fn replay(core: &Core, history: History) -> Result<Replayed> {
    let summary = history.run;
    let Served { definition, .. } = core.definitions.get(&summary.definition).ok_or_else(|| {
        Error::new(ErrorKind::Internal, "take over run").caused_by("the store gave a run that was not asked for")
    })?;
    let plan = definition.plan().clone();
    let machine = Machine::replay(plan, history.input, summary.created_at, &history.records)?;
    Ok(Replayed { summary, definition: definition.clone(), machine, next: history.records.len() as u64 })
}

impl Replayed {
    fn begin(self, core: &Core, watch: Arc<Watch>) -> Result<(Arc<Run>, Pending)> {
        let RunSummary { key, no, created_at, .. } = self.summary;
        let run = Arc::new(Run::new(key, no, self.definition, created_at, watch, (self.machine, self.next)));
        let pending = run.resume(&core.services)?;
        Ok((run, pending))
    }
}
