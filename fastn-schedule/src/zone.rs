//! Time zones, and what their clocks show when.

use std::fmt;
use std::str::FromStr;

use fastn_core::{Error, ErrorKind, Result, Timestamp};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

/// A time zone: `UTC`, a fixed offset from it such as `+05:30`, or a name of the IANA database such as `Europe/Berlin`.
///
/// The database is built in. It is never the machine's: two executors that differ in it would find different due times and
/// both start a run.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// The zone's name, as it is written.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// What the clocks show at a moment, and how far they are from UTC.
    pub(crate) fn clock(&self, at: jiff::Timestamp) -> (DateTime, Offset) {
        let offset = self.zone.to_offset(at);
        (offset.to_datetime(at), offset)
    }

    /// The first moment at which the clocks show this time or, where it is left out, the moment at which it is.
    pub(crate) fn first(&self, time: DateTime) -> Option<jiff::Timestamp> {
        match self.zone.to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(time).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(time).ok(),
            AmbiguousOffset::Gap { before, .. } => {
                // By the clocks as they were before, this is not earlier than the moment they were set forward.
                let behind = before.to_timestamp(time).ok()?;
                let behind = behind.checked_add(jiff::SignedDuration::from_secs(1)).ok()?;
                self.zone.preceding(behind).next().map(|change| change.timestamp())
            }
        }
    }

    /// When the clocks are next set, after a moment.
    pub(crate) fn next_change(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        self.zone.following(after).map(|change| change.timestamp()).find(|change| *change > after)
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::utc()
    }
}

impl FromStr for Zone {
    type Err = Error;

    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if there is no such zone.
    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            let shown: String = text.chars().take(64).collect();
            Error::new(ErrorKind::Invalid, "find time zone").with("zone", format!("{shown:?}"))
        };
        if text.eq_ignore_ascii_case("UTC") || text == "Z" {
            return Ok(Self::utc());
        }
        if text.starts_with(['+', '-']) {
            let offset =
                fixed(text).ok_or_else(|| unknown().caused_by("an offset is written as +05:30, up to 18 hours"))?;
            return Ok(Self { name: text.to_owned(), zone: TimeZone::fixed(offset) });
        }
        // Its names are short; no other text need be looked for.
        if text.len() > 64 {
            return Err(unknown());
        }
        let zone = TimeZoneDatabase::bundled().get(text).map_err(|e| unknown().caused_by(e.to_string()))?;
        let name = zone.iana_name().ok_or_else(unknown)?.to_owned();
        Ok(Self { name, zone })
    }
}

/// An offset of whole minutes, written `+05:30`.
fn fixed(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let two = |digits: &str| -> Option<i32> {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain { digits.parse().ok() } else { None }
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    if hours > 18 || minutes > 59 || (hours == 18 && minutes > 0) {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

impl TryFrom<String> for Zone {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

/// A moment as jiff has it, in whole seconds rounded down; `None` outside of its ten thousand years.
pub(crate) fn moment(time: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_second(time.as_micros().div_euclid(1_000_000)).ok()
}

/// A moment as fastn has it.
pub(crate) fn stamp(moment: jiff::Timestamp) -> Timestamp {
    Timestamp::from_micros(moment.as_microsecond())
}
