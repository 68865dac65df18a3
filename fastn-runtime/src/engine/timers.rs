//! What happens by itself: sleeps end, retries begin, deadlines pass.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, PoisonError};

use fastn_core::Timestamp;
use fastn_store::RunKey;
use tokio::sync::Notify;

use super::core::Core;
use super::recovery;
use super::strand;

/// When to look at which run. A run may stand here more often than needed: looking at it is harmless.
#[derive(Debug, Default)]
pub(super) struct Timers {
    alarms: Mutex<BinaryHeap<Reverse<(Timestamp, RunKey)>>>,
    /// The first alarm became an earlier one.
    earlier: Notify,
}

impl Timers {
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
    fn due(&self, now: Timestamp) -> (Vec<RunKey>, Option<Timestamp>) {
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        while alarms.peek().is_some_and(|Reverse((time, _))| *time <= now) {
            due.extend(alarms.pop().map(|Reverse((_, run))| run));
        }
        (due, alarms.peek().map(|Reverse((time, _))| *time))
    }
}

/// Looks at runs when their time has come, as long as the engine lives.
pub(super) async fn run(core: Arc<Core>) {
    loop {
        let (due, next) = core.timers.due(core.clock.now());
        for key in due {
            match core.find(&key) {
                Some(run) => match run.wake(&core) {
                    Ok(pending) => strand::carry_on(&core, &run, pending),
                    Err(error) => {
                        tracing::error!(run = %key.run, error = ?error, "a run could not be woken");
                        core.dismiss(&key, Err(Arc::new(error)));
                    }
                },
                // It left memory while it waited.
                None => {
                    let owner = core.clone();
                    core.spawn(async move { recovery::unpark(&owner, &key).await });
                }
            }
        }
        let earlier = core.timers.earlier.notified();
        match next {
            None => earlier.await,
            Some(time) => tokio::select! {
                () = earlier => {}
                () = core.clock.sleep_until(time) => {}
            },
        }
    }
}
