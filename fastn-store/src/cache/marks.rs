//! What was done through this store, which its own reads must not miss.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fastn_core::Timestamp;

use crate::RunKey;

/// How many places there are for runs. Two runs that share one are passed by together, which harms nobody.
const PLACES: usize = 1 << 14;

/// Remembers what may be out of date in the cache because of what was done here. An answer that was kept before a deed is too
/// old to count when its time is over; so long after the deed the cache is passed by.
#[derive(Debug)]
pub(super) struct Marks {
    began: Instant,
    hasher: RandomState,
    /// Until when lists of runs are passed by: microseconds since the beginning, as all here.
    lists: AtomicU64,
    /// Until when plans are: definitions may go with the last of their runs.
    plans: AtomicU64,
    /// Runs that ended before this were deleted.
    pruned: AtomicI64,
    /// Until when runs are passed by, by a hash of their keys.
    runs: Box<[AtomicU64]>,
}

/// Until when something is passed by.
#[derive(Debug, Default)]
pub(super) struct Mark(AtomicU64);

impl Marks {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            hasher: RandomState::new(),
            lists: AtomicU64::default(),
            plans: AtomicU64::default(),
            pruned: AtomicI64::new(i64::MIN),
            runs: (0..PLACES).map(|_| AtomicU64::default()).collect(),
        }
    }

    /// Runs may be other than they were.
    pub(super) fn mark_lists(&self, ttl: Duration) {
        self.set(&self.lists, ttl);
    }

    pub(super) fn passes_lists(&self) -> bool {
        self.is_set(&self.lists)
    }

    /// The store was told, or has told, of a run of this key that has not ended. One of the same key that had ended, and was
    /// deleted since, may be in the cache.
    pub(super) fn mark_run(&self, run: &RunKey, ttl: Duration) {
        if let Some(place) = self.place(run) {
            self.set(place, ttl);
        }
    }

    pub(super) fn passes_run(&self, run: &RunKey) -> bool {
        self.place(run).is_none_or(|place| self.is_set(place))
    }

    /// Runs that ended before this were deleted, or some of them.
    pub(super) fn mark_pruned(&self, before: Timestamp, ttl: Duration) {
        self.pruned.fetch_max(before.as_micros(), Ordering::SeqCst);
        self.set(&self.plans, ttl);
    }

    pub(super) fn is_pruned(&self, finished_at: Timestamp) -> bool {
        finished_at.as_micros() < self.pruned.load(Ordering::SeqCst)
    }

    pub(super) fn passes_plans(&self) -> bool {
        self.is_set(&self.plans)
    }

    pub(super) fn mark(&self, mark: &Mark, ttl: Duration) {
        self.set(&mark.0, ttl);
    }

    pub(super) fn passes(&self, mark: &Mark) -> bool {
        self.is_set(&mark.0)
    }

    fn place(&self, run: &RunKey) -> Option<&AtomicU64> {
        let hash = usize::try_from(self.hasher.hash_one(run) % PLACES as u64).unwrap_or_default();
        self.runs.get(hash)
    }

    fn set(&self, mark: &AtomicU64, ttl: Duration) {
        let until = self.began.elapsed().saturating_add(ttl).as_micros();
        mark.fetch_max(u64::try_from(until).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    fn is_set(&self, mark: &AtomicU64) -> bool {
        let until = mark.load(Ordering::SeqCst);
        // What has just begun may have begun with a mark of the same moment.
        until != 0 && u128::from(until) >= self.began.elapsed().as_micros()
    }
}
