//! Time that passes when the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fastn_core::{BoxFuture, Timestamp};
use fastn_runtime::Clock;
use tokio::sync::Notify;

/// A clock that stands still until it is moved. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Face>);

#[derive(Debug)]
struct Face {
    micros: AtomicI64,
    moved: Notify,
}

impl ManualClock {
    /// A clock that shows this time.
    pub fn at(time: Timestamp) -> Self {
        Self(Arc::new(Face { micros: AtomicI64::new(time.as_micros()), moved: Notify::new() }))
    }

    /// Lets time pass.
    pub fn advance(&self, span: Duration) {
        self.set(self.now().plus(span));
    }

    /// Sets the time, backwards too.
    pub fn set(&self, time: Timestamp) {
        self.0.micros.store(time.as_micros(), Ordering::SeqCst);
        self.0.moved.notify_waiters();
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.micros.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, time: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        Box::pin(async move {
            // Registered before looking, so that a move in between is not missed.
            let moved = clock.0.moved.notified();
            let mut moved = std::pin::pin!(moved);
            moved.as_mut().enable();
            if clock.now() < time {
                moved.await;
            }
        })
    }
}
