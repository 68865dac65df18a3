//! Runs that are in the store but not in memory: those under way when a process died, and those that wait for long.

use std::sync::Arc;
use std::time::Duration;

use fastn_core::{Definition, Error, ErrorKind, Event, Result};
use fastn_store::{ClaimAsk, Claimed, History, RunKey, RunQuery, RunSummary};

use super::core::{Admitted, Core, Served};
use super::pending::Pending;
use super::run::Run;
use super::steer::look::look;
use super::strand::{self, is_of_lease};
use super::suspicion::Suspect;
use super::tenure::Tenure;
use super::watch::Watch;
use crate::clock::pause;
use crate::machine::Machine;

/// How many runs are claimed at a time.
const PAGE: u32 = 512;

/// How long after nothing was left to claim it is looked again: with the length of its lease, that is how long
/// the runs of an executor that died lie still.
const AGAIN: Duration = Duration::from_millis(1_300);

/// How much later than that at most, in milliseconds, so that executors do not look in step.
const SPREAD: u64 = 200;

/// How long after the store was unavailable it is asked again.
const SOON: Duration = Duration::from_millis(200);

/// How long after some runs were claimed it is looked for more.
const SHARE: Duration = Duration::from_millis(50);

/// How long after the store failed in another way it is asked again.
const LATER: Duration = Duration::from_secs(5);

/// Takes over every unfinished run that this engine serves and nobody holds, and looks again when there may be more and from
/// time to time: another engine may have died. Runs beside everything else; a run that cannot be read keeps no other from
/// being taken over.
pub(super) async fn run(core: Arc<Core>, tenure: Arc<Tenure>) {
    let (Some(durable), Some(token)) = (core.services.durable(), tenure.token()) else { return };
    let serves = core.runnable();
    let _recovered = tenure.recovered.raise_at_end();
    // Whether a claim failed: it may have taken effect all the same.
    let mut unsure = false;
    while !core.is_stopping() {
        let claiming = core.claiming.write().await;
        let (now, suspects) = (core.services.clock.now(), tenure.suspicion.suspects(core.services.limits.poison_after));
        let ask = ClaimAsk { lease: token, now, serves: serves.clone(), limit: PAGE, suspects };
        let claimed = match durable.store.claim(ask).await {
            Ok(claimed) => claimed,
            Err(error) if error.is_transient() => {
                drop(claiming);
                unsure = true;
                tracing::warn!(error = ?error, "runs could not be claimed; trying again");
                pause(&*core.services.clock, SOON).await;
                continue;
            }
            Err(error) if is_of_lease(&error) => return core.lose(&tenure, &Arc::new(error)),
            Err(error) if error.kind() == ErrorKind::Closed => return core.halt(&Arc::new(error)),
            Err(error) => {
                drop(claiming);
                unsure = true;
                tracing::error!(error = ?error, "runs could not be claimed; trying again later");
                pause(&*core.services.clock, LATER).await;
                continue;
            }
        };
        let count = claimed.len();
        if count > 0 {
            tracing::info!(runs = count, "unfinished runs are taken over");
            match look(&core, &tenure).await {
                Ok(()) => {}
                Err(error) if is_of_lease(&error) => return core.lose(&tenure, &Arc::new(error)),
                // They are this engine's, and are loaded as those whose claim is not known to have succeeded.
                Err(error) => {
                    drop(claiming);
                    unsure = true;
                    tracing::error!(error = ?error, "runs that were taken over could not be begun; trying again later");
                    pause(&*core.services.clock, SOON).await;
                    continue;
                }
            }
        }
        for run in claimed {
            let key = run.history.run.key.clone();
            if let Err(error) = take_over(&core, &tenure, run) {
                tracing::error!(run = %key.run, error = ?error, "a run could not be taken over");
                core.refuse(&key, error);
            }
        }
        drop(claiming);
        if count > 0 {
            // Some may have waited for somebody to hold the run.
            core.bells.messages.notify_one();
        }
        if u32::try_from(count) == Ok(PAGE) {
            tokio::task::yield_now().await;
            continue;
        }
        tenure.recovered.raise();
        if unsure {
            let loaded = load_all_own(&core, token).await;
            unsure = loaded.is_err();
            if let Err(error) = loaded {
                tracing::warn!(error = ?error, "runs of this engine could not be looked for; trying again");
            }
        }
        let jitter = Duration::from_millis(core.services.chance.next() % SPREAD);
        tokio::select! {
            biased;
            () = core.bells.runs.notified() => {}
            // A store gives each executor its share, as if all could run everything: what others cannot run is left.
            () = pause(&*core.services.clock, if count > 0 { SHARE } else { AGAIN + jitter }) => {}
        }
    }
}

/// A run that was looked for.
pub(super) enum Found {
    /// It is in memory.
    Here(Arc<Run>),
    /// It has ended.
    Over,
    /// Another engine holds it, or nobody does, and then this one does not claim it or has not yet.
    Elsewhere,
}

/// Finds a run; brings it into memory if it is this engine's.
///
/// # Errors
/// `NotFound` if there is none of that id.
pub(super) async fn load(core: &Arc<Core>, key: &RunKey) -> Result<Found> {
    let found = find(core, key, false).await?;
    if let (Found::Elsewhere, Some(tenure)) = (&found, core.services.tenure())
        && !tenure.recovered.is_raised()
    {
        // The lease is new, and the run may be about to be taken over.
        tenure.recovered.raised().await;
        return find(core, key, false).await;
    }
    Ok(found)
}

/// Brings a run into memory if it is this engine's. While the store is unavailable this is tried again beside, whatever
/// becomes of the caller: nobody else would.
pub(super) async fn load_own(core: &Arc<Core>, key: &RunKey) -> Result<()> {
    let found = find(core, key, true).await.map(drop);
    if found.as_ref().is_err_and(Error::is_transient) {
        let (owner, key) = (core.clone(), key.clone());
        core.spawn(Box::pin(async move {
            while !owner.is_stopping() {
                pause(&*owner.services.clock, SOON).await;
                match find(&owner, &key, true).await {
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
pub(super) async fn load_all_own(core: &Arc<Core>, token: u64) -> Result<()> {
    let store = core.services.store()?;
    if let Some(tenure) = core.services.tenure() {
        look(core, &tenure).await?;
    }
    let mut query = RunQuery { holder: Some(token), limit: PAGE, ..RunQuery::default() };
    loop {
        let page = store.list(query.clone()).await?;
        for run in &page.runs {
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

/// Finds a run; `ours` says whether it is likely to be this engine's.
async fn find(core: &Arc<Core>, key: &RunKey, ours: bool) -> Result<Found> {
    loop {
        if let Some(run) = core.find(key) {
            return Ok(Found::Here(run));
        }
        // Kept while the run is read, so that it is noticed if it comes into memory meanwhile.
        let watch = core.watch(key);
        let found = read(core, key, &watch, ours).await;
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
async fn read(core: &Arc<Core>, key: &RunKey, watch: &Watch, ours: bool) -> Result<Option<Found>> {
    let Some(durable) = core.services.durable() else { return Ok(Some(Found::Over)) };
    // In this order, so that who waits for the loading of a run does not wait for claims.
    let _claiming = core.claiming.read().await;
    let _loading = core.loading(key).await;
    let tenure = core.services.tenure();
    let seen = watch.times_begun();
    if let Some(run) = core.find(key) {
        return Ok(Some(Found::Here(run)));
    }
    let missing = || Error::new(ErrorKind::NotFound, "find run").with("run", key.run);
    let token = tenure.as_ref().and_then(|tenure| tenure.token());
    let is_elsewhere = |run: &RunSummary| run.holder.is_none() || run.holder != token;
    // Others' runs may be long, and are not read for nothing.
    if !ours || tenure.is_none() {
        let summary = durable.store.summaries(std::slice::from_ref(key)).await?.pop().flatten().ok_or_else(missing)?;
        if summary.status.is_final() {
            return Ok(Some(Found::Over));
        }
        if is_elsewhere(&summary) {
            return Ok(Some(Found::Elsewhere));
        }
    }
    let Some(tenure) = &tenure else { return Ok(Some(Found::Elsewhere)) };
    let history = durable.store.read(key).await?.ok_or_else(missing)?;
    if history.outcome().is_some() {
        return Ok(Some(Found::Over));
    }
    if is_elsewhere(&history.run) {
        return Ok(Some(Found::Elsewhere));
    }
    let replayed = replay(core, history)?;
    let admitted = core.admit_since(tenure, key, watch, seen, |watch| replayed.begin(core, tenure, watch))?;
    Ok(admitted.map(|admitted| Found::Here(carry_on(core, admitted))))
}

/// Wakes a run that left memory to wait.
pub(super) async fn unpark(core: &Arc<Core>, key: &RunKey) {
    match find(core, key, true).await {
        // With its lease this engine has lost the run, or will claim it again.
        Ok(_) => {}
        Err(error) => {
            tracing::error!(run = %key.run, error = ?error, "a run that waited could not be loaded");
            if error.is_transient() {
                // Its time has come, so it must not be forgotten.
                core.services.alarms.set(core.services.clock.now().plus(Duration::from_secs(1)), key.clone());
            } else {
                core.refuse(key, error);
            }
        }
    }
}

/// Brings a run that was just claimed into memory.
pub(super) fn take_over(core: &Arc<Core>, tenure: &Arc<Tenure>, claimed: Claimed) -> Result<()> {
    let Claimed { history, deaths, .. } = claimed;
    let key = history.run.key.clone();
    let since = history.records.last().map_or(history.run.created_at, |record| record.time);
    let mut replayed = replay(core, history)?;
    let most = core.services.limits.poison_after;
    replayed.suspect = tenure.suspicion.of(deaths, most, &core.bells);
    let end = if most > 0 && deaths >= most { replayed.machine.poison(deaths, since)? } else { None };
    if let Some(Event::Finished { outcome }) = &end {
        tracing::error!(tenant = %key.tenant, run = %key.run, deaths, outcome = %outcome, "a run is parked as poison");
    }
    let admitted = core.admit(tenure, &key, |watch| match end {
        Some(end) => replayed.end(core, tenure, watch, end),
        None => replayed.begin(core, tenure, watch),
    });
    if let Some(admitted) = admitted? {
        carry_on(core, admitted);
    }
    Ok(())
}

fn carry_on(core: &Arc<Core>, (run, pending): Admitted) -> Arc<Run> {
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
    suspect: Option<Suspect>,
}

fn replay(core: &Core, history: History) -> Result<Replayed> {
    let summary = history.run;
    let Served { definition, .. } = core.definitions.get(&summary.definition).ok_or_else(|| {
        Error::new(ErrorKind::Internal, "take over run").caused_by("the store gave a run that was not asked for")
    })?;
    let plan = definition.plan().clone();
    let machine = Machine::replay(plan, history.input, summary.created_at, &history.records)?;
    Ok(Replayed { summary, definition: definition.clone(), machine, next: history.records.len() as u64, suspect: None })
}

impl Replayed {
    /// It goes on.
    fn begin(self, core: &Core, tenure: &Arc<Tenure>, watch: Arc<Watch>) -> Result<(Arc<Run>, Pending)> {
        let run = self.into_run(tenure, watch);
        let pending = run.resume(&core.services, &tenure.beforehand.take(&run.key))?;
        Ok((run, pending))
    }

    /// It does not go on, and this is its end.
    fn end(self, core: &Core, tenure: &Arc<Tenure>, watch: Arc<Watch>, end: Event) -> Result<(Arc<Run>, Pending)> {
        let run = self.into_run(tenure, watch);
        let pending = run.end(&core.services, end)?;
        Ok((run, pending))
    }

    fn into_run(self, tenure: &Arc<Tenure>, watch: Arc<Watch>) -> Arc<Run> {
        let RunSummary { key, no, created_at, .. } = self.summary;
        let under = (tenure.clone(), watch);
        let run = Run::new(key, no, self.definition, created_at, under, (self.machine, self.next));
        if let Some(suspect) = self.suspect {
            run.is_suspect(suspect);
        }
        Arc::new(run)
    }
}
