//! Every so often.

use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result, Timestamp};
use serde::{Deserialize, Serialize};

/// Due at a moment and every so often from then on. It does not drift, and does not look at clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Interval {
    every: i64,
    from: Timestamp,
}

/// As it is stored, before it is checked.
#[derive(Serialize, Deserialize)]
struct Parts {
    /// In microseconds.
    every: i64,
    from: Timestamp,
}

impl Interval {
    /// Due at `from`, and every `every` later: a second or longer.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if it is shorter than a second or longer than there is time.
    pub fn new(every: Duration, from: Timestamp) -> Result<Self> {
        Self::of(i64::try_from(every.as_micros()).unwrap_or(i64::MAX), from)
    }

    fn of(every: i64, from: Timestamp) -> Result<Self> {
        if (1_000_000..i64::MAX).contains(&every) {
            return Ok(Self { every, from });
        }
        Err(Error::new(ErrorKind::Invalid, "make interval").with("microseconds", every))
    }

    /// How long it is from one due time to the next.
    pub fn every(&self) -> Duration {
        Duration::from_micros(self.every.unsigned_abs())
    }

    /// When it is next due after a moment; `None` if there is no time left.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        if after < self.from {
            return Some(self.from);
        }
        // Wider, since the two may be further apart than the largest number.
        let (after, from, every) =
            (i128::from(after.as_micros()), i128::from(self.from.as_micros()), i128::from(self.every));
        let next = from + ((after - from) / every + 1) * every;
        i64::try_from(next).ok().map(Timestamp::from_micros)
    }
}

impl TryFrom<Parts> for Interval {
    type Error = Error;

    fn try_from(Parts { every, from }: Parts) -> Result<Self> {
        Self::of(every, from)
    }
}

impl From<Interval> for Parts {
    fn from(Interval { every, from }: Interval) -> Self {
        Self { every, from }
    }
}
