//! The clock on the wall: the one that all executors of a store go by.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fastn_core::{Result, Timestamp};

use crate::clock::Clock;
use crate::engine::services::Services;

/// For how long the store's time is known well enough to decide by it: for longer, nobody knows how well this machine's
/// seconds agree with the server's.
const FRESH: Duration = Duration::from_secs(5);

/// For how long it is known well enough to know when to look.
const KNOWN: Duration = Duration::from_secs(60);

/// How far the calendar may move against uptime, in microseconds, before something must have happened: it was set, or the
/// machine was asleep.
const MOVED: u64 = 1_000_000;

/// What time it is for schedules. How far they are is shared by all executors, so that the calendar of one of them, which may
/// be wrong by hours or jump, must not decide: the time is the store's, where it has a clock.
#[derive(Debug, Default)]
pub(in crate::engine) struct Wall {
    reading: Mutex<Option<Reading>>,
    /// Held while the store is asked: many schedules are due at once.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
enum Reading {
    /// The store has no clock.
    Own,
    /// What its clock said, and what those of this machine did.
    Store { time: Timestamp, uptime: Duration, calendar: Timestamp },
}

impl Wall {
    fn reading(&self) -> Option<Reading> {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present time, to decide by: the store is asked if it was not just now.
    pub(super) async fn now(&self, services: &Services) -> Result<Timestamp> {
        self.not_older(services, FRESH).await
    }

    /// Asks the store once more if its time has not been asked for long, or this machine's clocks have moved against each
    /// other.
    pub(super) async fn look(&self, services: &Services) -> Result<()> {
        self.not_older(services, KNOWN).await.map(drop)
    }

    /// The present time as far as it is known: to know when to look, not what to do. Rather late than early.
    pub(super) fn about(&self, clock: &dyn Clock) -> Timestamp {
        match self.reading() {
            Some(Reading::Store { time, uptime, .. }) => time.plus(clock.uptime().saturating_sub(uptime)),
            Some(Reading::Own) | None => clock.now(),
        }
    }

    async fn not_older(&self, services: &Services, most: Duration) -> Result<Timestamp> {
        let clock = &*services.clock;
        if !self.is_known(clock, most) {
            let _asking = self.asking.lock().await;
            // Somebody else may have asked meanwhile.
            if !self.is_known(clock, most) {
                let time = services.store()?.time().await?;
                // What it says is older than its answer: so nothing is due before its time.
                let (uptime, calendar) = (clock.uptime(), clock.now());
                let reading = time.map_or(Reading::Own, |time| Reading::Store { time, uptime, calendar });
                *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
            }
        }
        Ok(self.about(clock))
    }

    fn is_known(&self, clock: &dyn Clock, most: Duration) -> bool {
        match self.reading() {
            None => false,
            Some(Reading::Own) => true,
            Some(Reading::Store { uptime, calendar, .. }) => {
                let passed = clock.uptime().saturating_sub(uptime);
                passed < most && calendar.plus(passed).as_micros().abs_diff(clock.now().as_micros()) < MOVED
            }
        }
    }
}
