//! What runs were told while nobody had them, and that counts before anything of them begins.
//!
//! Messages are handed over beside everything else, so a run that was paused while its executor was down would begin before it
//! hears of that. So whoever takes runs over looks first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fastn_store::RunKey;
use foldhash::HashMap;

use super::command::Command;

/// An order with the id of its message.
pub(super) type Order = ([u8; 16], Command);

/// Orders for runs that are about to come into memory. They are handed over once more by the post, which acknowledges them: by
/// their ids they count once.
#[derive(Default)]
pub(super) struct Beforehand {
    /// Whether there are any: hardly ever, and then nobody need take the lock.
    any: AtomicBool,
    orders: Mutex<HashMap<RunKey, Vec<Order>>>,
}

impl Beforehand {
    fn orders(&self) -> MutexGuard<'_, HashMap<RunKey, Vec<Order>>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These were found.
    pub(super) fn add(&self, found: HashMap<RunKey, Vec<Order>>) {
        if !found.is_empty() {
            let mut orders = self.orders();
            orders.extend(found);
            self.any.store(true, Ordering::Release);
        }
    }

    /// What a run was told that comes into memory now, in order.
    pub(super) fn take(&self, run: &RunKey) -> Vec<Order> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut orders = self.orders();
        let own = orders.remove(run).unwrap_or_default();
        self.any.store(!orders.is_empty(), Ordering::Release);
        own
    }
}
