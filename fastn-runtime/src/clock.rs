//! Where time comes from.

use std::fmt;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use fastn_core::{BoxFuture, Timestamp};

/// Where an engine gets its time from. Tests and simulations bring their own.
///
/// What is recorded is told by the calendar ([`Clock::now`]), which may be set; how long something takes is measured by
/// [`Clock::uptime`], which only grows.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present time by the calendar.
    fn now(&self) -> Timestamp;

    /// The time since some moment before. It never goes back and does not jump when the calendar is set.
    fn uptime(&self) -> Duration;

    /// Completes after this span of [`Clock::uptime`], or before: who must not go on too early looks again.
    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's clock, with tokio's timers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// What uptime is counted from.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn uptime(&self) -> Duration {
        BEGINNING.elapsed()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(span))
    }
}

/// Lets a span of uptime pass.
pub(crate) async fn pause(clock: &dyn Clock, span: Duration) {
    let Some(end) = clock.uptime().checked_add(span) else { return std::future::pending().await };
    while let Some(left) = end.checked_sub(clock.uptime()).filter(|left| !left.is_zero()) {
        clock.sleep(left).await;
    }
}

/// Completes when the future does, or with `None` when the span has passed.
pub(crate) async fn within<T>(clock: &dyn Clock, span: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        value = future => Some(value),
        () = pause(clock, span) => None,
    }
}
