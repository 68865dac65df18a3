//! Dates and times of day as people write them.

use std::fmt;
use std::str::FromStr;

use fastn_core::{Error, ErrorKind, Result};
use jiff::civil;
use serde::{Deserialize, Serialize};

/// A date of the Gregorian calendar, written `2026-12-24`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date(civil::Date);

impl Date {
    /// A date by its numbers; years from 1 to 9999.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if there is no such date.
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self> {
        let date = || {
            let year = i16::try_from(year).ok().filter(|year| *year > 0)?;
            civil::Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
        };
        let none =
            || Error::new(ErrorKind::Invalid, "make date").with("date", format!("{year:04}-{month:02}-{day:02}"));
        date().map(Self).ok_or_else(none)
    }

    pub(crate) const fn day(self) -> civil::Date {
        self.0
    }
}

/// A time of day to the second, written `09:30` or `09:30:15`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(civil::Time);

impl TimeOfDay {
    /// A time of day by its numbers.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if there is no such time.
    pub fn new(hour: u8, minute: u8, second: u8) -> Result<Self> {
        let small = |value: u8| i8::try_from(value).ok();
        let time = || civil::Time::new(small(hour)?, small(minute)?, small(second)?, 0).ok();
        let none =
            || Error::new(ErrorKind::Invalid, "make time").with("time", format!("{hour:02}:{minute:02}:{second:02}"));
        time().map(Self).ok_or_else(none)
    }

    pub(crate) const fn time(self) -> civil::Time {
        self.0
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "everybody knows them")]
pub enum Weekday {
    Sunday,
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
}

impl Weekday {
    /// Counted from Sunday, which is 0.
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }
}

/// The numbers of a text such as `2026-12-24`, each with its number of digits.
fn numbers<const N: usize>(text: &str, mark: char, digits: [usize; N]) -> Option<[u16; N]> {
    let mut parts = text.split(mark);
    let mut found = [0; N];
    for (place, digits) in found.iter_mut().zip(digits) {
        let part =
            parts.next().filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *place = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

fn wrong(what: &'static str, text: &str) -> Error {
    let shown: String = text.chars().take(32).collect();
    Error::new(ErrorKind::Invalid, what).with("text", format!("{shown:?}"))
}

fn small(number: u16) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

impl FromStr for Date {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let [year, month, day] = numbers(text, '-', [4, 2, 2])
            .ok_or_else(|| wrong("read date", text).caused_by("a date is written 2026-12-24"))?;
        Self::new(year, small(month), small(day))
    }
}

impl FromStr for TimeOfDay {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let short = numbers(text, ':', [2, 2]).map(|[hour, minute]| [hour, minute, 0]);
        let [hour, minute, second] = short
            .or_else(|| numbers(text, ':', [2, 2, 2]))
            .ok_or_else(|| wrong("read time", text).caused_by("a time is written 09:30 or 09:30:15"))?;
        Self::new(small(hour), small(minute), small(second))
    }
}

macro_rules! text {
    ($($name:ident),+) => {$(
        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )+};
}
text!(Date, TimeOfDay);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
