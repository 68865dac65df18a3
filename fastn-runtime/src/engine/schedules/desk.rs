//! When to look at which schedule.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fastn_core::Timestamp;
use fastn_store::EntryKey;
use tokio::sync::Notify;

use super::wall::Wall;

/// How many schedules are tended at a time, at most.
const HANDS: usize = 64;

/// When to look at which schedule of the store. To look too often is harmless.
#[derive(Debug, Default)]
pub(in crate::engine) struct Desk {
    table: Mutex<Table>,
    /// Something is to be looked at earlier than was known.
    news: Notify,
    /// What time it is.
    pub(super) wall: Wall,
}

#[derive(Debug, Default)]
struct Table {
    when: HashMap<EntryKey, Timestamp>,
    alarms: BTreeSet<(Timestamp, EntryKey)>,
    /// Those that are being tended.
    busy: HashSet<EntryKey>,
    /// Those for which this engine came too late the last time.
    late: HashSet<EntryKey>,
    /// The version of the repository that all of this is from.
    seen: u64,
}

impl Table {
    fn set(&mut self, key: EntryKey, time: Option<Timestamp>) {
        if let Some(before) = self.when.remove(&key) {
            self.alarms.remove(&(before, key.clone()));
        }
        if let Some(time) = time {
            self.when.insert(key.clone(), time);
            self.alarms.insert((time, key));
        }
    }
}

impl Desk {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A schedule is to be looked at now.
    pub(super) fn poke(&self, key: EntryKey) {
        self.table().set(key, Some(Timestamp::EPOCH));
        self.news.notify_one();
    }

    /// A schedule was changed here, to this version. If that is the only change, nobody need look for others.
    pub(super) fn changed(&self, version: u64) {
        let mut table = self.table();
        if table.seen.checked_add(1) == Some(version) {
            table.seen = version;
        }
    }

    /// Schedules whose time has come, as many as can be tended now, and the time of the next.
    pub(super) fn due(&self, now: Timestamp) -> (Vec<EntryKey>, Option<Timestamp>) {
        let mut table = self.table();
        let free = HANDS.saturating_sub(table.busy.len());
        // One that is being tended has its turn again when that is done.
        let idle = table.alarms.iter().filter(|(_, key)| !table.busy.contains(key));
        let mut due: Vec<(Timestamp, EntryKey)> = idle.take(free + 1).cloned().collect();
        let come = due.iter().take(free).take_while(|(time, _)| *time <= now).count();
        let next = due.get(come).map(|(time, _)| *time).filter(|_| come < free);
        due.truncate(come);
        let keys: Vec<EntryKey> = due.into_iter().map(|(_, key)| key).collect();
        for key in &keys {
            table.set(key.clone(), None);
            table.busy.insert(key.clone());
        }
        (keys, next)
    }

    /// A schedule was tended, and is to be looked at again then. If that was asked for earlier meanwhile, so be it.
    pub(super) fn done(&self, key: &EntryKey, time: Option<Timestamp>) {
        let mut table = self.table();
        table.busy.remove(key);
        let earlier = [table.when.get(key).copied(), time].into_iter().flatten().min();
        table.set(key.clone(), earlier);
        drop(table);
        self.news.notify_one();
    }

    /// Whether another engine was faster the last time, and is to be left to it for a while.
    pub(super) fn is_late(&self, key: &EntryKey) -> bool {
        self.table().late.contains(key)
    }

    /// This engine was faster than the others, or was not.
    pub(super) fn raced(&self, key: &EntryKey, won: bool) {
        let mut table = self.table();
        if won {
            table.late.remove(key);
        } else {
            table.late.insert(key.clone());
        }
    }

    /// Whether nothing is to be looked at, ever.
    pub(super) fn is_empty(&self) -> bool {
        self.table().when.is_empty()
    }

    /// The version of the repository that all of this is from.
    pub(super) fn seen(&self) -> u64 {
        self.table().seen
    }

    /// All there is, as of a version of the repository.
    pub(super) fn replace(&self, all: BTreeMap<EntryKey, Timestamp>, version: u64) {
        let mut table = self.table();
        let gone: Vec<EntryKey> = table.when.keys().filter(|key| !all.contains_key(*key)).cloned().collect();
        for key in gone {
            table.late.remove(&key);
            table.set(key, None);
        }
        all.into_iter().for_each(|(key, time)| table.set(key, Some(time)));
        table.seen = version;
        drop(table);
        self.news.notify_one();
    }

    /// Completes when something is to be looked at earlier than was known. News since the last call count.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }
}
