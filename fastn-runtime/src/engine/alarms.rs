//! When to look at which run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};

use fastn_core::Timestamp;
use fastn_store::RunKey;
use tokio::sync::Notify;

/// When to look at which run. A run may stand here more often than needed: looking at it is harmless.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    alarms: Mutex<BinaryHeap<Reverse<(Timestamp, RunKey)>>>,
    /// The first alarm became an earlier one.
    earlier: Notify,
}

impl Alarms {
    pub(super) fn set(&self, time: Timestamp, run: RunKey) {
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = alarms.peek().is_none_or(|Reverse((first, _))| time < *first);
        alarms.push(Reverse((time, run)));
        drop(alarms);
        if earlier {
            self.earlier.notify_one();
        }
    }

    /// The runs whose time has come, and the time of the next.
    pub(super) fn due(&self, now: Timestamp) -> (Vec<RunKey>, Option<Timestamp>) {
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        while alarms.peek().is_some_and(|Reverse((time, _))| *time <= now) {
            due.extend(alarms.pop().map(|Reverse((_, run))| run));
        }
        (due, alarms.peek().map(|Reverse((time, _))| *time))
    }

    /// Completes when the first alarm becomes an earlier one. An alarm set since the last call counts.
    pub(super) async fn earlier(&self) {
        self.earlier.notified().await;
    }
}
