//! What can be counted of a cache.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happened in a [`ReadCache`](crate::ReadCache) since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadCacheCounts {
    /// How many of the stores that it was put before ask Redis just now. The reads of others go to the store, and a connection
    /// is tried from time to time.
    pub connected: u64,
    /// Answers that came from the cache.
    pub hits: u64,
    /// Answers that were looked for in the cache and came from the store.
    pub misses: u64,
    /// Answers that were not looked for, since Redis is not asked just now, or since this process wrote a moment ago what
    /// they are about.
    pub passed: u64,
    /// How often a connection could not be made, was lost, or did not answer in time.
    pub failures: u64,
    /// Values that were not ours, damaged, or of another format. They count as misses, too.
    pub unreadable: u64,
    /// Answers that were put into the cache.
    pub kept: u64,
    /// Answers that were not put there: too many were on their way, or Redis was not asked just then, or refused them.
    pub dropped: u64,
}

/// The same, while it is counted.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    pub(super) connected: Gauge,
    pub(super) hits: Gauge,
    pub(super) misses: Gauge,
    pub(super) passed: Gauge,
    pub(super) failures: Gauge,
    pub(super) unreadable: Gauge,
    pub(super) kept: Gauge,
    pub(super) dropped: Gauge,
}

#[derive(Debug, Default)]
pub(super) struct Gauge(AtomicU64);

impl Gauge {
    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn take_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauges {
    pub(super) fn read(&self) -> ReadCacheCounts {
        ReadCacheCounts {
            connected: self.connected.read(),
            hits: self.hits.read(),
            misses: self.misses.read(),
            passed: self.passed.read(),
            failures: self.failures.read(),
            unreadable: self.unreadable.read(),
            kept: self.kept.read(),
            dropped: self.dropped.read(),
        }
    }
}
