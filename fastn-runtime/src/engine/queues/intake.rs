//! Where new runs of queues wait to be written together with others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastn_core::{QueueName, Result};
use fastn_store::{Enqueue, Written};
use foldhash::HashMap;
use tokio::sync::oneshot;

/// A group has so many at most, and takes no more once it has so many bytes.
const MOST: usize = 256;
const BYTES: usize = 4 << 20;

/// One that is on its way, and who waits for what becomes of it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) new: Arc<Enqueue>,
    pub(super) reply: oneshot::Sender<Result<Written>>,
}

/// Which of them are written together: runs; or the items of one queue, which wait for a host's transaction that is about to
/// add one to it.
pub(super) type Lane = Option<QueueName>;

/// Those that wait for the next group of their lane.
#[derive(Debug, Default)]
pub(in crate::engine) struct Intake(Mutex<HashMap<Lane, Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    asked: Vec<Asked>,
    /// Whether somebody writes what waits, until nothing does.
    is_written: bool,
}

impl Intake {
    /// Lets one wait. Whether nobody writes just now, and the caller has to.
    pub(super) fn add(&self, lane: &Lane, asked: Asked) -> bool {
        let mut lanes = self.lanes();
        let waiting = lanes.entry(lane.clone()).or_default();
        waiting.asked.push(asked);
        !std::mem::replace(&mut waiting.is_written, true)
    }

    /// The next group, in the order in which they came. Without one whoever writes is done.
    pub(super) fn take(&self, lane: &Lane) -> Option<Vec<Asked>> {
        let mut lanes = self.lanes();
        let waiting = lanes.get_mut(lane)?;
        let mut bytes = 0_usize;
        let fits = |asked: &&Asked| {
            let before = bytes;
            bytes = bytes.saturating_add(asked.new.new.input.len());
            before < BYTES
        };
        let count = waiting.asked.iter().take(MOST).take_while(fits).count();
        if count == 0 {
            lanes.remove(lane);
            return None;
        }
        Some(waiting.asked.drain(..count).collect())
    }

    /// Whoever waits is told that nobody writes any more.
    pub(super) fn forgo(&self, lane: &Lane) {
        self.lanes().remove(lane);
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<Lane, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
