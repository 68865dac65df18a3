//! Where time comes from.

use std::fmt;
use std::time::SystemTime;

use fastn_core::{BoxFuture, Timestamp};

/// Where an engine gets its time from. Tests and simulations bring their own.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> Timestamp;

    /// Completes at this time, or a little earlier: who waits looks at [`Clock::now`] again.
    fn sleep_until(&self, time: Timestamp) -> BoxFuture<'static, ()>;
}

/// The machine's clock, with tokio's timers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The longest sleep at a stretch, so that a jump of the machine's clock is noticed.
    const STRETCH: std::time::Duration = std::time::Duration::from_secs(30);
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn sleep_until(&self, time: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time.since(self.now()).min(Self::STRETCH)))
    }
}
