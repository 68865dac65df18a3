//! What is to be done about one schedule.

use std::sync::Arc;
use std::time::Duration;

use fastn_core::{By, Definition, ErrorKind, Result, RunId, Timestamp};
use fastn_store::{EntryKey, Expect, RunKey};

use super::due::{Next, next};
use super::fire::{exists, fire, is_over, served};
use super::shelf::{Found, find, keep};
use super::spec::Overlap;
use super::stored::Stored;
use crate::clock::within;
use crate::engine::core::Core;
use crate::engine::steer;

/// How long after something stood in the way it is looked whether it is gone.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

/// When a schedule is to be looked at, as far as its entry tells; `None` if not before it is changed.
pub(super) fn look_at(core: &Core, key: &EntryKey, stored: &Stored, now: Timestamp) -> Option<Timestamp> {
    if stored.paused || served(core, stored).is_none() {
        return None;
    }
    match next(key, stored, now) {
        _ if stored.buffered.is_some() => Some(Timestamp::EPOCH),
        Next::Due(_) => Some(Timestamp::EPOCH),
        Next::At(time) => Some(time),
        Next::Never => None,
    }
}

/// Does what is due; gives the time at which to look again, if there is one.
pub(super) async fn tend(core: &Arc<Core>, key: &EntryKey) -> Result<Option<Timestamp>> {
    let store = core.services.store()?;
    while !core.is_stopping() {
        let Some(Found { version, stored }) = find(store, key).await? else { return Ok(None) };
        let Some(definition) = served(core, &stored).filter(|_| !stored.paused) else { return Ok(None) };
        let changed = match what(core, key, &stored, &definition).await? {
            What::Change(changed) => changed,
            What::Look(time) => return Ok(time),
        };
        // If somebody else was faster, the schedule is looked at as it is now.
        let won = keep(core, key, Some(&changed), Expect::Version(version)).await?;
        core.schedules.raced(key, won);
    }
    Ok(None)
}

/// What came of looking at a schedule.
enum What {
    /// Something was done, and this is to be kept.
    Change(Box<Stored>),
    /// Nothing is to be done before this time.
    Look(Option<Timestamp>),
}

async fn what(core: &Arc<Core>, key: &EntryKey, stored: &Stored, definition: &Definition) -> Result<What> {
    let now = core.schedules.wall.now(&core.services).await?;
    let (due, later) = match next(key, stored, now) {
        Next::Due(due) => (Some(due), None),
        Next::At(time) => (None, Some(time)),
        Next::Never => (None, None),
    };
    if due.is_none() && stored.buffered.is_none() {
        return Ok(What::Look(later));
    }
    let mut changed = Box::new(stored.clone());
    if stored.overlap == Overlap::Allow {
        changed.open.clear();
    }
    changed.open = under_way(core, key, &changed.open).await?;
    if let Some(buffered) = stored.buffered.filter(|_| changed.open.is_empty()) {
        changed.opened(fire(core, key, stored, definition, buffered).await?);
        changed.buffered = None;
        return Ok(What::Change(changed));
    }
    let Some(due) = due else {
        wake_at_end(core, key, &changed.open);
        return Ok(What::Look(later));
    };
    let blocked = stored.overlap != Overlap::Allow && !changed.open.is_empty();
    // Whoever started it may have died before that was written, and what is under way may have been started since.
    if !blocked || exists(core, &key.tenant, stored.run(key, due)).await? {
        fire_into(core, key, &mut changed, definition, due).await?;
    } else {
        match stored.overlap {
            Overlap::BufferOne if stored.buffered.is_none() => changed.buffered = Some(due),
            Overlap::Allow | Overlap::Skip | Overlap::BufferOne => changed.skipped = changed.skipped.saturating_add(1),
            Overlap::CancelRunning => {
                if !cancel(core, key, &changed.open).await? {
                    return Ok(What::Look(Some(now.plus(AGAIN))));
                }
                fire_into(core, key, &mut changed, definition, due).await?;
            }
        }
    }
    changed.position = due;
    Ok(What::Change(changed))
}

async fn fire_into(
    core: &Arc<Core>,
    key: &EntryKey,
    changed: &mut Stored,
    definition: &Definition,
    due: Timestamp,
) -> Result<()> {
    let run = fire(core, key, changed, definition, due).await?;
    if changed.overlap != Overlap::Allow && !changed.open.contains(&run) {
        changed.opened(run);
    }
    Ok(())
}

/// Those of the runs that have not ended.
async fn under_way(core: &Core, key: &EntryKey, runs: &[RunId]) -> Result<Vec<RunId>> {
    let mut found = Vec::new();
    for run in runs {
        if !is_over(core, &key.tenant, *run).await? {
            found.push(*run);
        }
    }
    Ok(found)
}

/// Cancels runs; whether that could be done here.
async fn cancel(core: &Arc<Core>, key: &EntryKey, runs: &[RunId]) -> Result<bool> {
    for run in runs {
        let run = RunKey { tenant: key.tenant.clone(), run: *run };
        match steer::cancel(core, &run, &By::from("its schedule is due again")).await {
            Ok(_) => {}
            // Another engine has it, and that one tends this schedule too.
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                tracing::debug!(run = %run.run, error = ?error, "a run is left to the engine that has it");
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Looks at a schedule again when a run ends here, and after a while if it does not: another engine may have it.
fn wake_at_end(core: &Arc<Core>, key: &EntryKey, runs: &[RunId]) {
    let Some(run) = runs.first() else { return };
    let run = RunKey { tenant: key.tenant.clone(), run: *run };
    let (owner, key) = (core.clone(), key.clone());
    core.spawn(Box::pin(async move {
        let watch = owner.watch(&run);
        // It may have ended before it was watched.
        if !is_over(&owner, &run.tenant, run.run).await.unwrap_or(false) {
            within(&*owner.services.clock, AGAIN, watch.ended()).await;
        }
        drop(watch);
        owner.unwatch(&run);
        owner.schedules.poke(key);
    }));
}
