//! So much in a span of time.

use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result, Timestamp};
use serde::{Deserialize, Serialize};

/// The longest span of a rule.
pub(super) const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// At most so much in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How much. A run takes its cost of it, which is 1 unless it says otherwise; one that costs more than there is ever takes
    /// all of it.
    pub quota: u32,
    /// In which span.
    #[serde(with = "micros")]
    pub per: Duration,
    /// Which spans count.
    pub window: RateWindow,
}

/// Which spans count for a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RateWindow {
    /// Those that begin at multiples of the span since 1970: each minute from its first second on. So there may be nearly
    /// twice as much around the end of one.
    Fixed,
    /// Every one, whenever it begins.
    Sliding,
}

impl Rate {
    /// At most so much in each span that begins at a multiple of it since 1970.
    pub const fn fixed(quota: u32, per: Duration) -> Self {
        Self { quota, per, window: RateWindow::Fixed }
    }

    /// At most so much in every span, whenever it begins.
    pub const fn sliding(quota: u32, per: Duration) -> Self {
        Self { quota, per, window: RateWindow::Sliding }
    }

    pub(super) fn check(&self) -> Result<()> {
        let wrong = |why: &'static str| Err(Error::new(ErrorKind::Invalid, "check rate of queue").caused_by(why));
        if self.quota == 0 {
            return wrong("a quota of none lets nothing pass ever; a queue can be paused");
        }
        if self.per < Duration::from_millis(1) || self.per > YEAR {
            return wrong("its span is from a millisecond to a year");
        }
        Ok(())
    }

    /// The span in microseconds, at least one.
    pub(super) fn span(&self) -> i64 {
        i64::try_from(self.per.as_micros()).unwrap_or(i64::MAX).max(1)
    }

    /// What was taken at this time or later counts now.
    pub(super) fn counts_from(&self, now: Timestamp) -> i64 {
        let (now, span) = (now.as_micros(), self.span());
        match self.window {
            RateWindow::Fixed => now.saturating_sub(now.rem_euclid(span)),
            RateWindow::Sliding => now.saturating_sub(span).saturating_add(1),
        }
    }

    /// From when on what was taken at this time counts no more.
    pub(super) fn counts_until(&self, taken: i64) -> i64 {
        match self.window {
            RateWindow::Fixed => taken.saturating_sub(taken.rem_euclid(self.span())).saturating_add(self.span()),
            RateWindow::Sliding => taken.saturating_add(self.span()),
        }
    }
}

/// Spans as they are written down: in microseconds.
pub(super) mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::queue) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
    }

    pub(in crate::queue) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_micros)
    }
}
