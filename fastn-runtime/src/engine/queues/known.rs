//! The rules of queues that were read a moment ago, so that not everybody who enqueues reads them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastn_core::QueueName;
use fastn_store::QueueRules;
use foldhash::HashMap;

/// For how long rules are believed to be as they were read. Who admits reads them each time.
const FRESH: Duration = Duration::from_secs(1);

/// The rules that were read, and when, by uptime.
#[derive(Debug, Default)]
pub(in crate::engine) struct Known(Mutex<HashMap<QueueName, (Duration, Arc<QueueRules>)>>);

impl Known {
    fn rules(&self) -> MutexGuard<'_, HashMap<QueueName, (Duration, Arc<QueueRules>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, queue: &QueueName, now: Duration) -> Option<Arc<QueueRules>> {
        self.rules().get(queue).filter(|(read, _)| now.saturating_sub(*read) < FRESH).map(|(_, rules)| rules.clone())
    }

    pub(super) fn put(&self, queue: &QueueName, now: Duration, rules: Arc<QueueRules>) {
        self.rules().insert(queue.clone(), (now, rules));
    }

    /// They were changed.
    pub(super) fn forget(&self, queue: &QueueName) {
        self.rules().remove(queue);
    }
}
