//! The time during which an engine may continue runs: as long as it has one lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastn_store::Lease;
use tokio::sync::Notify;

use super::beforehand::Beforehand;
use super::suspicion::Suspicion;
use crate::clock::Clock;
use crate::flag::Flag;
use crate::journal::Journal;
use crate::tasks::{Spawner, Tasks};

/// What an engine has as long as it has a lease. A run in memory belongs to the tenure under which it was loaded: when that
/// is over, nothing more is done with it, whatever tenure follows.
///
/// An ephemeral engine has one that needs no lease and has no end.
pub(super) struct Tenure {
    held: Option<Held>,
    /// Those that work on runs, and end with the tenure.
    pub(super) tasks: Arc<Tasks>,
    /// Until when the lease is certainly not another's, in nanoseconds of uptime.
    sure_until: AtomicU64,
    renewed: Notify,
    over: AtomicBool,
    /// Nothing of it is in memory any more.
    left: Flag,
    /// Every run that could be claimed when it began is in memory.
    pub(super) recovered: Flag,
    /// The run that may kill, if one is under way.
    pub(super) suspicion: Suspicion,
    /// What runs were told that are about to come into memory.
    pub(super) beforehand: Beforehand,
}

struct Held {
    lease: Lease,
    journal: Arc<Journal>,
}

impl Tenure {
    /// Of an engine that keeps no runs.
    pub(super) fn endless(spawner: Arc<dyn Spawner>) -> Self {
        Self::new(None, spawner, u64::MAX)
    }

    /// Under a lease that lasts, by uptime, until then.
    pub(super) fn under(lease: Lease, journal: Journal, spawner: Arc<dyn Spawner>, sure_until: Duration) -> Self {
        Self::new(Some(Held { lease, journal: Arc::new(journal) }), spawner, nanos(sure_until))
    }

    fn new(held: Option<Held>, spawner: Arc<dyn Spawner>, sure_until: u64) -> Self {
        Self {
            held,
            tasks: Arc::new(Tasks::new(spawner)),
            sure_until: AtomicU64::new(sure_until),
            renewed: Notify::new(),
            over: AtomicBool::new(false),
            left: Flag::default(),
            recovered: Flag::default(),
            suspicion: Suspicion::default(),
            beforehand: Beforehand::default(),
        }
    }

    pub(super) fn lease(&self) -> Option<&Lease> {
        self.held.as_ref().map(|held| &held.lease)
    }

    /// The token of the lease.
    pub(super) fn token(&self) -> Option<u64> {
        self.lease().map(|lease| lease.token)
    }

    pub(super) fn journal(&self) -> Option<&Arc<Journal>> {
        self.held.as_ref().map(|held| &held.journal)
    }

    /// The lease was renewed, and lasts until then.
    pub(super) fn extend(&self, until: Duration) {
        self.sure_until.fetch_max(nanos(until), Ordering::AcqRel);
        self.renewed.notify_waiters();
    }

    /// Whether attempts may begin: who could not renew its lease for as long as it lasts cannot know whether another has
    /// the runs by now.
    pub(super) fn is_sure(&self, clock: &dyn Clock) -> bool {
        let until = self.sure_until.load(Ordering::Acquire);
        // Nobody takes over what nobody keeps.
        until == u64::MAX || nanos(clock.uptime()) < until
    }

    /// Completes when attempts may begin again. Not if they never may: then the tenure is over, and whoever waits is
    /// dropped.
    pub(super) async fn sure(&self, clock: &dyn Clock) {
        loop {
            // Registered before looking, so that a renewal in between is not missed.
            let renewed = self.renewed.notified();
            tokio::pin!(renewed);
            renewed.as_mut().enable();
            if self.is_sure(clock) && !self.is_over() {
                return;
            }
            renewed.await;
        }
    }

    /// It is over. Whether it was not before.
    pub(super) fn end(&self) -> bool {
        let ends = !self.over.swap(true, Ordering::SeqCst);
        self.recovered.raise();
        ends
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// It is over, and nothing of it is in memory any more.
    pub(super) fn leave(&self) {
        self.left.raise();
    }

    /// Completes then.
    pub(super) async fn left(&self) {
        self.left.raised().await;
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
