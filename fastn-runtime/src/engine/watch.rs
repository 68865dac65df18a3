//! What hosts can wait for and listen to.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use fastn_core::{Attempt, Error, Failure, Outcome, Part, Payload};
use tokio::sync::{Notify, broadcast};

/// How many events a listener may lag behind before it misses some.
const BACKLOG: usize = 256;

/// Something that happens in a run, as it happens: to show, not to rely on. What is relied on is in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunEvent {
    /// An attempt begins.
    Started {
        /// The node's path.
        node: String,
        /// Which of its functions.
        part: Part,
        /// Which attempt.
        attempt: Attempt,
    },
    /// A running step tells of its progress.
    Progress {
        /// The node's path.
        node: String,
        /// What it tells.
        data: Payload,
    },
    /// An attempt succeeded.
    Succeeded {
        /// The node's path.
        node: String,
        /// Which of its functions.
        part: Part,
    },
    /// An attempt failed.
    Failed {
        /// The node's path.
        node: String,
        /// Which of its functions.
        part: Part,
        /// Why.
        failure: Failure,
    },
    /// So many events were missed, because the listener was too slow.
    Missed(u64),
}

/// Where the end of a run, and what happens until then, can be learnt.
#[derive(Debug, Default)]
pub(super) struct Watch {
    end: OnceLock<Result<Outcome, Arc<Error>>>,
    ended: Notify,
    /// How often the run came into this engine's memory since somebody began to wait for it here.
    begun: AtomicU32,
    /// How many are about to create the run: it may not be there yet.
    creating: AtomicU32,
    /// There once somebody listens.
    events: OnceLock<broadcast::Sender<RunEvent>>,
}

/// Somebody is about to create a run.
#[must_use = "it is over when this is dropped"]
pub(super) struct Creating<'a>(&'a Watch);

impl Drop for Creating<'_> {
    fn drop(&mut self) {
        self.0.creating.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Watch {
    /// The run is about to be created: until that is over, nobody is to be told that there is none.
    pub(super) fn create(&self) -> Creating<'_> {
        self.creating.fetch_add(1, Ordering::AcqRel);
        Creating(self)
    }

    pub(super) fn is_creating(&self) -> bool {
        self.creating.load(Ordering::Acquire) > 0
    }

    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn times_begun(&self) -> u32 {
        self.begun.load(Ordering::Acquire)
    }

    pub(super) fn end(&self, end: Result<Outcome, Arc<Error>>) {
        let _ = self.end.set(end);
        self.ended.notify_waiters();
    }

    /// The end, if it is known already.
    pub(super) fn peek(&self) -> Option<&Result<Outcome, Arc<Error>>> {
        self.end.get()
    }

    pub(super) async fn ended(&self) -> Result<Outcome, Arc<Error>> {
        loop {
            // Registered before looking, so that an end in between is not missed.
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if let Some(end) = self.end.get() {
                return end.clone();
            }
            ended.await;
        }
    }

    /// Tells those who listen; costs nothing if nobody does.
    pub(super) fn tell(&self, event: impl FnOnce() -> RunEvent) {
        if let Some(events) = self.events.get() {
            let _ = events.send(event());
        }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<RunEvent> {
        self.events.get_or_init(|| broadcast::channel(BACKLOG).0).subscribe()
    }
}
