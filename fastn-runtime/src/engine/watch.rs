//! What hosts can wait for and listen to.

use std::sync::{Arc, OnceLock};

use fastn_core::{Attempt, Error, Failure, Outcome, Part, Payload};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

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
    /// There once somebody listens.
    events: OnceLock<broadcast::Sender<RunEvent>>,
}

impl Watch {
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

    fn subscribe(&self) -> broadcast::Receiver<RunEvent> {
        self.events.get_or_init(|| broadcast::channel(BACKLOG).0).subscribe()
    }
}

/// What happens in a run from now on, as it happens.
#[derive(Debug)]
pub struct RunEvents {
    watch: Arc<Watch>,
    events: broadcast::Receiver<RunEvent>,
    /// Cancelled when it is found out that nothing will happen, because the run was over before.
    over: CancellationToken,
}

impl RunEvents {
    pub(super) fn new(watch: Arc<Watch>) -> Self {
        Self { events: watch.subscribe(), watch, over: CancellationToken::new() }
    }

    /// What to cancel when nothing more will happen.
    pub(super) fn over(&self) -> CancellationToken {
        self.over.clone()
    }

    /// The next event; `None` when the run has ended, or cannot be found.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub async fn next(&mut self) -> Option<RunEvent> {
        tokio::select! {
            biased;
            event = self.events.recv() => match event {
                Ok(event) => Some(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => Some(RunEvent::Missed(missed)),
                Err(broadcast::error::RecvError::Closed) => None,
            },
            _ = self.watch.ended() => None,
            () = self.over.cancelled() => None,
        }
    }
}
