//! When something is due.

use std::time::Duration;

use fastn_core::{Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cron::Cron;
use crate::dates::Dates;
use crate::interval::Interval;
use crate::zone::Zone;

/// When something is due, in whichever way that is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Calendar {
    /// By a cron expression.
    Cron(Cron),
    /// Every so often.
    Interval(Interval),
    /// On dates, at times of day.
    Dates(Dates),
}

impl Calendar {
    /// By a cron expression.
    ///
    /// # Errors
    /// As [`Cron::new`].
    pub fn cron(text: &str) -> Result<Self> {
        Cron::new(text).map(Self::Cron)
    }

    /// Every so often, beginning at a moment.
    ///
    /// # Errors
    /// As [`Interval::new`].
    pub fn every(every: Duration, from: Timestamp) -> Result<Self> {
        Interval::new(every, from).map(Self::Interval)
    }

    /// When it is next due after a moment; `None` if never again. A cron expression or dates that repeat at all do so
    /// within 400 years, and are not looked for beyond.
    pub fn next(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        match self {
            Self::Cron(cron) => cron.next(after, zone),
            Self::Interval(interval) => interval.next(after),
            Self::Dates(dates) => dates.next(after, zone),
        }
    }

    /// When it was due last, after a moment and not after another; `None` if not at all between them.
    pub fn last(&self, after: Timestamp, until: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let due_by_then = |from| self.next(from, zone).filter(|due| *due <= until);
        let mut last = due_by_then(after)?;
        // After this moment it is not due by then.
        let mut end = until;
        while let Some(next) = due_by_then(last) {
            last = next;
            // Halves what is left, so that the number of due times in between does not matter.
            let middle = midpoint(last, end);
            match due_by_then(middle) {
                Some(later) => last = later,
                None => end = middle,
            }
        }
        Some(last)
    }
}

impl From<Cron> for Calendar {
    fn from(cron: Cron) -> Self {
        Self::Cron(cron)
    }
}

impl From<Interval> for Calendar {
    fn from(interval: Interval) -> Self {
        Self::Interval(interval)
    }
}

impl From<Dates> for Calendar {
    fn from(dates: Dates) -> Self {
        Self::Dates(dates)
    }
}

fn midpoint(a: Timestamp, b: Timestamp) -> Timestamp {
    let middle = i128::midpoint(i128::from(a.as_micros()), i128::from(b.as_micros()));
    Timestamp::from_micros(i64::try_from(middle).unwrap_or(a.as_micros()))
}
