//! The schedules of an engine's store.

use std::sync::Arc;

use fastn_core::{Error, ErrorKind, Result, RunId, TenantId, Timestamp};
use fastn_store::{EntryKey, Expect, Scan};

use super::due::{Next, next};
use super::fire::{exists, fire, served, start};
use super::info::{Backfilled, ScheduleInfo};
use super::shelf::{Found, find, keep, key};
use super::spec::{Overlap, Schedule, named};
use super::stored::{Stored, kind};
use crate::engine::core::Core;

/// How many due times a backfill is about at most.
const MOST: usize = 10_000;

/// The schedules of an engine's store: every engine that serves the workflow of a schedule fires it, and each due time is
/// fired once, however many they are. What is due is told by the clock of the store's server, where there is one, so that no
/// executor's calendar matters, and by that of the engine otherwise.
///
/// # Errors
/// Of every method: [`Unsupported`](ErrorKind::Unsupported) if the engine is ephemeral, or the schedule was written by a
/// newer fastn; [`Closed`](ErrorKind::Closed) after shutdown; if the store fails; and what the method says itself.
///
/// # Cancel safety
/// Of every method: dropping the future does not undo the call; it may still take effect, as a whole or not at all.
#[derive(Clone, Debug)]
pub struct Schedules {
    core: Arc<Core>,
}

impl Schedules {
    pub(in crate::engine) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Creates a schedule, or gives the one of that tenant and name another content; the same content again changes
    /// nothing, so that a program can put its schedules whenever it begins.
    ///
    /// A new one fires what is due from now on, and so does one that gets another calendar or zone. One that is paused
    /// stays so until it is [resumed](Self::resume).
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) or [`TooLarge`](ErrorKind::TooLarge) if something in it goes beyond its limit.
    pub async fn put(&self, schedule: &Schedule) -> Result<()> {
        self.core.check_open("put schedule")?;
        schedule.check(self.core.services.limits.payload)?;
        let key = key(&schedule.tenant, schedule.name.clone())?;
        let store = self.core.services.store()?;
        loop {
            let now = self.now().await?;
            let (stored, expect) = match find(store, &key).await? {
                Some(Found { version, stored: old }) => {
                    let new = old.replaced(schedule, now);
                    if new == old {
                        return Ok(());
                    }
                    (new, Expect::Version(version))
                }
                None => {
                    // Larger than that of any schedule of this name before: those were kept and deleted since.
                    let generation = store.latest(&key.kind).await?.saturating_add(1);
                    (Stored::new(schedule, generation, now), Expect::Absent)
                }
            };
            if keep(&self.core, &key, Some(&stored), expect).await? {
                self.core.schedules.poke(key);
                return Ok(());
            }
        }
    }

    /// A schedule; `None` if there is none of that name.
    pub async fn get(&self, tenant: &TenantId, name: &str) -> Result<Option<ScheduleInfo>> {
        let key = key(tenant, named(name)?)?;
        let found = find(self.core.services.store()?, &key).await?;
        let now = self.now().await?;
        Ok(found.map(|found| info(&key, &found.stored, now)))
    }

    /// Schedules in the order of their tenants and names: of one tenant or of all, behind the last of the page before, and
    /// at most so many; 0 is taken as 100. Those that this build cannot read are left out.
    pub async fn list(
        &self,
        tenant: Option<&TenantId>,
        after: Option<&ScheduleInfo>,
        limit: u32,
    ) -> Result<Vec<ScheduleInfo>> {
        let after = after.map(|info| (info.schedule.tenant.clone(), info.schedule.name.clone()));
        let scan = Scan { kind: kind()?, tenant: tenant.cloned(), after, limit };
        let entries = self.core.services.store()?.scan(scan).await?;
        let now = self.now().await?;
        let read = |entry: &fastn_store::Entry| Some(info(&entry.key, &Stored::read(&entry.value).ok()?, now));
        Ok(entries.iter().filter_map(read).collect())
    }

    /// The present time as all executors of the store see it.
    async fn now(&self) -> Result<Timestamp> {
        self.core.schedules.wall.now(&self.core.services).await
    }

    /// Fires nothing any more, until it is resumed. Runs that were started go on.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none of that name.
    pub async fn pause(&self, tenant: &TenantId, name: &str) -> Result<()> {
        self.change(tenant, name, |stored, _| stored.paused = true).await
    }

    /// Fires what is due from now on. What was due since it was paused is passed over. One that was fired up to a time to
    /// come, because a clock was ahead, goes on from now when it is paused and resumed.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none of that name.
    pub async fn resume(&self, tenant: &TenantId, name: &str) -> Result<()> {
        let resume = |stored: &mut Stored, now: Timestamp| {
            if std::mem::take(&mut stored.paused) {
                stored.position = now;
                stored.buffered = None;
            }
        };
        self.change(tenant, name, resume).await
    }

    async fn change(&self, tenant: &TenantId, name: &str, change: impl Fn(&mut Stored, Timestamp)) -> Result<()> {
        self.core.check_open("change schedule")?;
        let key = key(tenant, named(name)?)?;
        loop {
            let found = self.found(&key).await?;
            let mut stored = found.stored.clone();
            change(&mut stored, self.now().await?);
            if stored == found.stored {
                return Ok(());
            }
            if keep(&self.core, &key, Some(&stored), Expect::Version(found.version)).await? {
                self.core.schedules.poke(key);
                return Ok(());
            }
        }
    }

    async fn found(&self, key: &EntryKey) -> Result<Found> {
        let missing = || Error::new(ErrorKind::NotFound, "find schedule").with("name", &key.name);
        find(self.core.services.store()?, key).await?.ok_or_else(missing)
    }

    /// Deletes a schedule; whether there was one of that name. Runs that were started go on. One that is created again
    /// under the same name is another one, whose due times have runs of their own.
    pub async fn delete(&self, tenant: &TenantId, name: &str) -> Result<bool> {
        self.core.check_open("delete schedule")?;
        let key = key(tenant, named(name)?)?;
        let store = self.core.services.store()?;
        while let Some(entry) = store.get(&key).await? {
            if keep(&self.core, &key, None, Expect::Version(entry.version)).await? {
                self.core.schedules.poke(key);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The next due times, without jitter: at most so many.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none of that name.
    pub async fn upcoming(&self, tenant: &TenantId, name: &str, count: usize) -> Result<Vec<Timestamp>> {
        let stored = self.found(&key(tenant, named(name)?)?).await?.stored;
        let after = |time: &Timestamp| stored.calendar.next(*time, &stored.zone);
        let from = stored.position.max(self.now().await?);
        Ok(std::iter::successors(after(&from), after).take(count.min(MOST)).collect())
    }

    /// Starts a run now, whatever the calendar, a pause and the runs under way say; it counts as under way when the
    /// schedule is next due. The run's id.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none of that name, or this engine does not serve its workflow.
    pub async fn trigger(&self, tenant: &TenantId, name: &str) -> Result<RunId> {
        self.core.check_open("trigger schedule")?;
        let key = key(tenant, named(name)?)?;
        let stored = self.found(&key).await?.stored;
        let definition = self.served(&stored)?;
        let payload = stored.payload(self.now().await?);
        let run = start(&self.core, &key, &stored, &definition, payload).await?.id();
        let opened = |stored: &mut Stored, _| {
            if stored.overlap != Overlap::Allow && !stored.open.contains(&run) {
                stored.opened(run);
            }
        };
        match self.change(tenant, name, opened).await {
            // It was deleted meanwhile, and will not be due again.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(run),
            changed => changed.map(|()| run),
        }
    }

    fn served(&self, stored: &Stored) -> Result<fastn_core::Definition> {
        served(&self.core, stored).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "start run")
                .with("workflow", stored.workflow().0)
                .caused_by("this engine does not serve it")
        })
    }

    /// The due times from one time on and before another, past or to come: what a [backfill](Self::backfill) would be
    /// about.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none of that name; [`TooLarge`](ErrorKind::TooLarge) if there are more
    /// than ten thousand.
    pub async fn due_between(
        &self,
        tenant: &TenantId,
        name: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Timestamp>> {
        let stored = self.found(&key(tenant, named(name)?)?).await?.stored;
        due_between(&stored, from, to)
    }

    /// Starts a run for every due time from one time on and before another, up to the present, that has none: it may have
    /// been missed, or be from before the schedule was. What is under way does not matter, so they may all run at once. A
    /// backfill that was broken off is done again and goes on where it was.
    ///
    /// # Errors
    /// As [`Schedules::due_between`], and [`NotFound`](ErrorKind::NotFound) if this engine does not serve its workflow.
    pub async fn backfill(&self, tenant: &TenantId, name: &str, from: Timestamp, to: Timestamp) -> Result<Backfilled> {
        self.core.check_open("backfill schedule")?;
        let key = key(tenant, named(name)?)?;
        let stored = self.found(&key).await?.stored;
        let definition = self.served(&stored)?;
        let present = Timestamp::from_micros(self.now().await?.as_micros().saturating_add(1));
        let mut done = Backfilled::default();
        for due in due_between(&stored, from, to.min(present))? {
            if exists(&self.core, tenant, stored.run(&key, due)).await? {
                done.existed = done.existed.saturating_add(1);
            } else {
                done.started.push(fire(&self.core, &key, &stored, &definition, due).await?);
            }
        }
        Ok(done)
    }
}

fn info(key: &EntryKey, stored: &Stored, now: Timestamp) -> ScheduleInfo {
    ScheduleInfo {
        schedule: stored.said(key),
        fired_up_to: stored.position,
        next: match next(key, stored, now) {
            Next::Due(due) => Some(due),
            Next::At(time) => Some(time),
            Next::Never => None,
        },
        buffered: stored.buffered,
        skipped: stored.skipped,
        open: stored.open.clone(),
    }
}

fn due_between(stored: &Stored, from: Timestamp, to: Timestamp) -> Result<Vec<Timestamp>> {
    let before = Timestamp::from_micros(from.as_micros().saturating_sub(1));
    let after = |time: &Timestamp| stored.calendar.next(*time, &stored.zone).filter(|due| *due < to);
    let due: Vec<Timestamp> = std::iter::successors(after(&before), after).take(MOST + 1).collect();
    if due.len() > MOST {
        return Err(Error::new(ErrorKind::TooLarge, "list due times").with("most", MOST));
    }
    Ok(due)
}
