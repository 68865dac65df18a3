//! Time that passes when the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use fastn_core::{BoxFuture, Timestamp};
use fastn_runtime::Clock;
use tokio::sync::Notify;

/// A clock that stands still until it is moved. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Face>);

#[derive(Debug)]
struct Face {
    /// The calendar, in microseconds since the epoch.
    now: AtomicI64,
    /// In microseconds.
    uptime: AtomicU64,
    moved: Notify,
}

impl ManualClock {
    /// A clock that shows this time.
    pub fn at(time: Timestamp) -> Self {
        let (now, uptime) = (AtomicI64::new(time.as_micros()), AtomicU64::new(0));
        Self(Arc::new(Face { now, uptime, moved: Notify::new() }))
    }

    /// Lets time pass.
    pub fn advance(&self, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        self.0.uptime.fetch_add(micros, Ordering::SeqCst);
        self.set(self.now().plus(span));
    }

    /// Sets the calendar, backwards too. No time passes.
    pub fn set(&self, time: Timestamp) {
        self.0.now.store(time.as_micros(), Ordering::SeqCst);
        self.0.moved.notify_waiters();
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.now.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        Duration::from_micros(self.0.uptime.load(Ordering::SeqCst))
    }

    /// Completes whenever the clock is moved; at once if the span is none.
    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        let (now, end) = (self.now(), self.uptime().saturating_add(span));
        Box::pin(async move {
            // Registered before looking, so that a move in between is not missed.
            let moved = clock.0.moved.notified();
            let mut moved = std::pin::pin!(moved);
            moved.as_mut().enable();
            if clock.now() == now && clock.uptime() < end {
                moved.await;
            }
        })
    }
}
