//! What is to stop of a run: all of it, or single attempts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::HashSet;
use tokio::sync::Notify;

use crate::machine::AttemptId;

/// Which attempts are to stop.
#[derive(Debug, Default)]
pub(super) struct Abort {
    /// All of them.
    all: AtomicBool,
    /// Whether there may be single ones: most runs have none, and need not look.
    some: AtomicBool,
    /// Those that have not answered yet. In a box, so that a run without any needs no room for them.
    stopped: Mutex<Option<Box<HashSet<AttemptId>>>>,
    news: Notify,
}

impl Abort {
    /// All attempts are to stop, those that are yet to begin too.
    pub(super) fn stop_all(&self) {
        self.all.store(true, Ordering::Release);
        self.news.notify_waiters();
    }

    /// These attempts are to stop.
    pub(super) fn stop(&self, attempts: Vec<AttemptId>) {
        self.stopped().get_or_insert_default().extend(attempts);
        self.some.store(true, Ordering::Release);
        self.news.notify_waiters();
    }

    /// Whether an attempt is to stop.
    pub(super) fn stops(&self, attempt: &AttemptId) -> bool {
        self.all.load(Ordering::Acquire)
            || (self.some.load(Ordering::Acquire)
                && self.stopped().as_ref().is_some_and(|stopped| stopped.contains(attempt)))
    }

    /// Completes when something is to stop, from the first time that it is polled on.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// Completes when an attempt is to stop.
    pub(super) async fn stopping(&self, attempt: &AttemptId) {
        loop {
            // Registered before looking, so that it cannot be told in between unnoticed.
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if self.stops(attempt) {
                return;
            }
            news.await;
        }
    }

    /// An attempt is answered: another one may be like it, when its scope is opened again.
    pub(super) fn answered(&self, attempt: impl FnOnce() -> AttemptId) {
        if !self.some.load(Ordering::Acquire) {
            return;
        }
        let mut stopped = self.stopped();
        if let Some(left) = stopped.as_mut() {
            left.remove(&attempt());
            if left.is_empty() {
                *stopped = None;
                self.some.store(false, Ordering::Release);
            }
        }
    }

    fn stopped(&self) -> MutexGuard<'_, Option<Box<HashSet<AttemptId>>>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastn_core::plan::NodeIx;
    use fastn_core::{Address, Attempt, Part};

    fn attempt(item: u32) -> AttemptId {
        let at = Address { node: NodeIx(3), items: vec![item] };
        AttemptId { at, part: Part::Work, attempt: Attempt::FIRST }
    }

    #[test]
    fn single_attempts_stop_until_they_are_answered() {
        let abort = Abort::default();
        abort.stop(vec![attempt(1), attempt(2)]);
        assert!(abort.stops(&attempt(1)) && !abort.stops(&attempt(3)));
        abort.answered(|| attempt(1));
        assert!(!abort.stops(&attempt(1)) && abort.stops(&attempt(2)));
        abort.answered(|| attempt(2));
        assert!(!abort.stops(&attempt(2)) && abort.stopped().is_none());
        abort.stop_all();
        assert!(abort.stops(&attempt(3)));
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_its_own_end_only() {
        let abort = Abort::default();
        let (one, two) = (attempt(1), attempt(2));
        let (mut first, mut second) = (Box::pin(abort.stopping(&one)), Box::pin(abort.stopping(&two)));
        assert!(polled(first.as_mut()).is_pending() && polled(second.as_mut()).is_pending());
        abort.stop(vec![attempt(2)]);
        assert!(polled(first.as_mut()).is_pending() && polled(second.as_mut()).is_ready());
        abort.stop_all();
        first.await;
    }

    fn polled(future: std::pin::Pin<&mut (impl Future<Output = ()> + ?Sized)>) -> std::task::Poll<()> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }
}
