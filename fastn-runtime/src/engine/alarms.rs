//! When to look at which run.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use fastn_core::Timestamp;
use fastn_store::RunKey;
use tokio::sync::Notify;

/// When to look at which run. A run may stand here more often than needed: looking at it is harmless. A set, so that a
/// run that is loaded and leaves again any number of times still stands here once.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    alarms: Mutex<BTreeSet<(Timestamp, RunKey)>>,
    /// The first alarm became an earlier one.
    earlier: Notify,
}

impl Alarms {
    pub(super) fn set(&self, time: Timestamp, run: RunKey) {
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = alarms.first().is_none_or(|(first, _)| time < *first);
        alarms.insert((time, run));
        drop(alarms);
        if earlier {
            self.earlier.notify_one();
        }
    }

    /// Takes an alarm back: a run that has ended must not stand here until its deadline, weeks away.
    pub(super) fn unset(&self, time: Timestamp, run: RunKey) {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner).remove(&(time, run));
    }

    /// Takes all alarms back: the runs are in other hands.
    pub(super) fn clear(&self) {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The runs whose time has come, and the time of the next.
    pub(super) fn due(&self, now: Timestamp) -> (Vec<RunKey>, Option<Timestamp>) {
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        while alarms.first().is_some_and(|(time, _)| *time <= now) {
            due.extend(alarms.pop_first().map(|(_, run)| run));
        }
        (due, alarms.first().map(|(time, _)| *time))
    }

    /// Completes when the first alarm becomes an earlier one. An alarm set since the last call counts.
    pub(super) async fn earlier(&self) {
        self.earlier.notified().await;
    }
}
