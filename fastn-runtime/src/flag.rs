//! Something that happens once, and can be waited for.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct Flag {
    raised: AtomicBool,
    news: Notify,
}

impl Flag {
    pub(crate) fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        self.news.notify_waiters();
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    /// Completes when the flag is raised.
    pub(crate) async fn raised(&self) {
        loop {
            // Registered before looking, so that it cannot be raised in between unnoticed.
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if self.is_raised() {
                return;
            }
            news.await;
        }
    }

    /// Raises the flag when dropped.
    pub(crate) const fn raise_at_end(&self) -> Raise<'_> {
        Raise(self)
    }
}

pub(crate) struct Raise<'a>(&'a Flag);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.raise();
    }
}
