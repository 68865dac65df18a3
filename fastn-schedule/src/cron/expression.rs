//! An expression that was read.

use std::fmt;
use std::str::FromStr;

use fastn_core::{Error, Result, Timestamp};
use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

use super::days::DayFields;
use super::field::{HOUR, MINUTE, MONTH, SECOND};
use super::parse::fields;
use crate::local::{self, Pattern};
use crate::month::{Days, Month};
use crate::zone::Zone;

/// A cron expression, as POSIX has crontab, with what others have added.
///
/// | field | values | also |
/// |---|---|---|
/// | second, which may be left out | 0-59 | |
/// | minute | 0-59 | |
/// | hour | 0-23 | |
/// | day of month | 1-31 | `?`, `L` the last, `L-3` three before it, `15W` the workday nearest to the 15th in the month, `LW` the last workday |
/// | month | 1-12, JAN-DEC | |
/// | day of week | 0-7, SUN-SAT; 0 and 7 are Sunday | `?`, `5#2` the second Friday, `5L`, `L5` or `5#L` the last |
///
/// * `*` is every value, `a-b` a range, `*/n` and `a-b/n` every n-th of it, `a/n` every n-th from `a` on; items stand in a
///   list with commas. Ranges go round: `22-2`, `FRI-MON`. Names may be written large or small.
/// * Where day of month and day of week both say something, either is enough: `0 0 13 * FRI` is every 13th and every
///   Friday (POSIX, crontab). A field says nothing if it is `*`, `?` or `*/1`; `*/2` says something. In Vixie's cron a field
///   that begins with a star says nothing in this sense, and `*/2` and `FRI` must both match there: here either is enough.
/// * `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight` and `@hourly` stand for the usual.
/// * What happens when clocks are changed is told at [the crate](crate).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cron {
    text: String,
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: DayFields,
    months: u64,
    by_the_clock: bool,
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`Invalid`](fastn_core::ErrorKind::Invalid) if it is none; the source says which field is wrong and why.
    pub fn new(text: &str) -> Result<Self> {
        let [second, minute, hour, day, month, weekday] = fields(text)?;
        let (minutes, hours) = (MINUTE.list(minute)?, HOUR.list(hour)?);
        let wild = |text: &str, values, all| text.starts_with('*') || values == all;
        Ok(Self {
            text: text.to_owned(),
            seconds: SECOND.list(second)?,
            minutes,
            hours,
            days: DayFields::parse(day, weekday)?,
            months: MONTH.list(month)?,
            by_the_clock: wild(minute, minutes, MINUTE.all()) || wild(hour, hours, HOUR.all()),
        })
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// When it is next due after a moment; `None` if never, as `0 0 31 2 *`.
    pub fn next(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        local::next(self, after, zone)
    }
}

impl Pattern for Cron {
    fn days(&self, month: Month) -> Days {
        if self.months & (1 << month.month) == 0 { 0 } else { self.days.in_month(month) }
    }

    fn time(&self, _: Date, from: Time) -> Option<Time> {
        let (hour, minute, second) = (number(from.hour()), number(from.minute()), number(from.second()));
        let first = |values: u64| values.trailing_zeros();
        let time = |hour: u32, minute: u32, second: u32| {
            let small = |value: u32| i8::try_from(value).ok();
            Time::new(small(hour)?, small(minute)?, small(second)?, 0).ok()
        };
        if self.hours & (1 << hour) != 0 {
            if self.minutes & (1 << minute) != 0
                && let Some(second) = from_on(self.seconds, second)
            {
                return time(hour, minute, second);
            }
            if let Some(minute) = from_on(self.minutes, minute + 1) {
                return time(hour, minute, first(self.seconds));
            }
        }
        time(from_on(self.hours, hour + 1)?, first(self.minutes), first(self.seconds))
    }

    fn goes_by_the_clock(&self) -> bool {
        self.by_the_clock
    }
}

/// The first value of a set from this one on.
fn from_on(values: u64, from: u32) -> Option<u32> {
    let rest = values.checked_shr(from)?;
    (rest != 0).then(|| from + rest.trailing_zeros())
}

fn number(value: i8) -> u32 {
    u32::from(value.unsigned_abs())
}

impl FromStr for Cron {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl TryFrom<String> for Cron {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(&text)
    }
}

impl From<Cron> for String {
    fn from(cron: Cron) -> Self {
        cron.text
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({})", self.text)
    }
}
