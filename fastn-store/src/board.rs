//! Where those who share a store hang out what is new.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use fastn_core::Result;
use tokio::sync::Notify;

use crate::standing::closed;
use crate::{News, NewsAsk};

/// Tells whoever waits in [`Mailbox::news`](crate::Mailbox::news) what there is.
#[derive(Debug)]
pub(crate) struct Board {
    /// From 1, so that who has heard nothing is told at once.
    runs: AtomicU64,
    queues: AtomicU64,
    messages: AtomicU64,
    ends: AtomicU64,
    /// How many wait who cannot be told by this process alone.
    #[cfg(feature = "sqlite")]
    readers: AtomicUsize,
    /// How many wait for ends.
    hear_ends: AtomicUsize,
    closed: AtomicBool,
    changed: Notify,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            runs: AtomicU64::new(1),
            queues: AtomicU64::new(1),
            messages: AtomicU64::new(1),
            ends: AtomicU64::new(1),
            #[cfg(feature = "sqlite")]
            readers: AtomicUsize::new(0),
            hear_ends: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }
}

impl Board {
    /// There may be runs that nobody holds.
    pub(crate) fn tell_runs(&self) {
        self.tell(&self.runs);
    }

    /// There may be runs to be admitted.
    pub(crate) fn tell_queues(&self) {
        self.tell(&self.queues);
    }

    /// Messages were sent.
    pub(crate) fn tell_messages(&self) {
        self.tell(&self.messages);
    }

    /// Runs have ended. Costs nothing while nobody asks.
    pub(crate) fn tell_ends(&self) {
        if self.hear_ends.load(Ordering::SeqCst) > 0 {
            self.tell(&self.ends);
        }
    }

    /// Whether somebody waits for ends.
    #[cfg(feature = "postgres")]
    pub(crate) fn hears_ends(&self) -> bool {
        self.hear_ends.load(Ordering::SeqCst) > 0
    }

    fn tell(&self, what: &AtomicU64) {
        what.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Whoever waits, now or later, learns that there will be no more news.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// What there is now.
    pub(crate) fn news(&self) -> News {
        let of = |count: &AtomicU64| count.load(Ordering::SeqCst);
        News { runs: of(&self.runs), queues: of(&self.queues), messages: of(&self.messages), ends: of(&self.ends) }
    }

    /// Waits for news.
    ///
    /// # Errors
    /// [`Closed`](fastn_core::ErrorKind::Closed) once the store is.
    pub(crate) async fn wait(&self, ask: NewsAsk) -> Result<News> {
        let _hears = ask.ends.then(|| Count::of(&self.hear_ends));
        loop {
            // Registered before looking, so that what comes in between is not missed.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.closed.load(Ordering::SeqCst) {
                return Err(closed());
            }
            let news = self.news();
            if ask.is_answered_by(&news) {
                return Ok(news);
            }
            changed.await;
        }
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl Board {
    /// Anything may have happened.
    pub(crate) fn tell_all(&self) {
        self.runs.fetch_add(1, Ordering::SeqCst);
        self.queues.fetch_add(1, Ordering::SeqCst);
        self.messages.fetch_add(1, Ordering::SeqCst);
        self.tell(&self.ends);
    }
}

#[cfg(feature = "sqlite")]
impl Board {
    /// Somebody reads, as long as what this gives lives.
    pub(crate) fn read(&self) -> Count<'_> {
        Count::of(&self.readers)
    }

    /// Whether anybody reads.
    pub(crate) fn is_read(&self) -> bool {
        self.readers.load(Ordering::SeqCst) > 0
    }
}

/// One more, as long as this lives.
pub(crate) struct Count<'a>(&'a AtomicUsize);

impl<'a> Count<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
