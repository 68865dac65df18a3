//! The task that tends each schedule in its time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result};
use fastn_store::{EntryKey, Scan, Store};

use super::stored::{Stored, kind};
use super::tend::{AGAIN, look_at, tend};
use crate::clock::pause;
use crate::engine::core::Core;
use crate::panics::caught;

/// How many schedules are read at a time.
const PAGE: u32 = 512;

/// How long a schedule is left to who was faster the last time, at least, and how much longer at most, in milliseconds.
const LATE: Duration = Duration::from_millis(100);
const SPREAD: u64 = 400;

/// Tends each schedule of the store in its time. What this engine changes it knows; for what others change it looks from
/// time to time.
pub(in crate::engine) async fn run(core: Arc<Core>) {
    let Ok(store) = core.services.store() else { return };
    let (clock, desk) = (&core.services.clock, &core.schedules);
    let mut look = Duration::ZERO;
    while !core.is_stopping() {
        if clock.uptime() >= look {
            match look_around(&core, store).await {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Closed => return,
                Err(error) => tracing::warn!(error = ?error, "schedules could not be looked for; trying again"),
            }
            look = clock.uptime().saturating_add(AGAIN);
        }
        let (due, next) = desk.due(desk.wall.about(&**clock));
        for key in due {
            core.spawn(Box::pin(tend_one(core.clone(), key)));
        }
        let wait = look.saturating_sub(clock.uptime());
        let wait = next.map_or(wait, |next| wait.min(next.since(desk.wall.about(&**clock))));
        tokio::select! {
            biased;
            () = core.stopping() => return,
            () = desk.news() => {}
            () = clock.sleep(wait) => {}
        }
    }
}

/// Looks for changes, and at the clock if there is anything to wait for.
async fn look_around(core: &Core, store: &Arc<dyn Store>) -> Result<()> {
    look_for_changes(core, store).await?;
    if core.schedules.is_empty() { Ok(()) } else { core.schedules.wall.look(&core.services).await }
}

/// Reads all schedules if any was changed since they were read.
async fn look_for_changes(core: &Core, store: &Arc<dyn Store>) -> Result<()> {
    let kind = kind()?;
    let latest = store.latest(&kind).await?;
    if latest == core.schedules.seen() {
        return Ok(());
    }
    let mut scan = Scan { kind, tenant: None, after: None, limit: PAGE };
    let mut all = BTreeMap::new();
    let now = core.schedules.wall.now(&core.services).await?;
    loop {
        let page = store.scan(scan.clone()).await?;
        scan.after = page.last().map(|entry| (entry.key.tenant.clone(), entry.key.name.clone()));
        let more = page.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
        for entry in page {
            match Stored::read(&entry.value) {
                Ok(stored) => all.extend(look_at(core, &entry.key, &stored, now).map(|time| (entry.key, time))),
                // One schedule that cannot be read must not keep the others from being fired.
                Err(error) => tell(&entry.key, &error, "a schedule could not be read"),
            }
        }
        if !more {
            break;
        }
    }
    // What was changed since is looked for the next time.
    core.schedules.replace(all, latest);
    Ok(())
}

async fn tend_one(core: Arc<Core>, key: EntryKey) {
    if core.schedules.is_late(&key) {
        // Whoever was faster the last time has done it by then. If not, one of those that were not is the first.
        let delay = LATE + Duration::from_millis(core.services.chance.next() % SPREAD);
        pause(&*core.services.clock, delay).await;
    }
    let tended = caught(tend(&core, &key)).await;
    let tended = tended.unwrap_or_else(|panic| Err(Error::new(ErrorKind::Internal, "tend schedule").caused_by(panic)));
    let again = tended.unwrap_or_else(|error| {
        if !core.is_stopping() {
            tell(&key, &error, "a schedule could not be tended; trying again");
        }
        Some(core.schedules.wall.about(&*core.services.clock).plus(AGAIN))
    });
    core.schedules.done(&key, again);
}

fn tell(key: &EntryKey, error: &Error, what: &'static str) {
    tracing::error!(tenant = %key.tenant, schedule = %key.name, error = ?error, "{what}");
}
