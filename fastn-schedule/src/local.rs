//! From what clocks show to moments.

use fastn_core::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, ToSpan as _};

use crate::month::{Days, Month};
use crate::zone::{Zone, moment, stamp};

/// After so many years the days of the Gregorian calendar and their weekdays come back: what was not found by then never
/// is.
const CYCLE: i16 = 400;

/// Longer than any clock was ever set back by, and than any zone is away from UTC.
const MARGIN: SignedDuration = SignedDuration::from_hours(48);

/// What says at which times of which days something is due.
pub(crate) trait Pattern {
    /// On which days of a month.
    fn days(&self, month: Month) -> Days;

    /// The first time from this one on, on a day on which it is due.
    fn time(&self, date: Date, from: Time) -> Option<Time>;

    /// Whether it goes by the clock, rather than by named times of day.
    fn goes_by_the_clock(&self) -> bool;
}

/// When it is next due after a moment.
pub(crate) fn next(pattern: &impl Pattern, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
    // Before all time that is counted, the first of it counts.
    let after = match moment(after) {
        Some(after) => after,
        None if after < Timestamp::EPOCH => jiff::Timestamp::MIN,
        None => return None,
    };
    let next =
        if pattern.goes_by_the_clock() { by_the_clock(pattern, after, zone) } else { named(pattern, after, zone) };
    next.map(stamp)
}

/// Every time that clocks show is due once: see the tables of the crate.
fn named(pattern: &impl Pattern, after: jiff::Timestamp, zone: &Zone) -> Option<jiff::Timestamp> {
    let (mut time, _) = zone.clock(after);
    loop {
        time = shown(pattern, second_after(time)?)?;
        // Where clocks were set back, what they show may have been due before.
        let due = zone.first(time)?;
        if due > after {
            return Some(due);
        }
    }
}

/// Every moment at which clocks show a due time is due.
fn by_the_clock(pattern: &impl Pattern, after: jiff::Timestamp, zone: &Zone) -> Option<jiff::Timestamp> {
    let mut from = after.checked_add(SignedDuration::from_secs(1)).ok()?;
    loop {
        // Until the clocks are set again, what they show only grows.
        let change = zone.next_change(from);
        let (time, offset) = zone.clock(from);
        let found = shown(pattern, time)?;
        let due = offset.to_timestamp(found).ok()?;
        let Some(change) = change.filter(|change| *change <= due) else { return Some(due) };
        // Years may lie between. What clocks show twice may be due the second time, but only if they are about to be set
        // back: otherwise it would have been found the first time.
        let near = due.checked_sub(MARGIN).ok()?;
        from = if change.duration_since(from) < MARGIN { change } else { change.max(near) };
    }
}

/// The first time from this one on that clocks show when it is due.
fn shown(pattern: &impl Pattern, from: DateTime) -> Option<DateTime> {
    let mut month = Month::of(from.date());
    let days = pattern.days(month);
    let today = u32::from(from.day().unsigned_abs());
    if days & (1 << today) != 0
        && let Some(time) = pattern.time(from.date(), from.time())
    {
        return Some(from.date().to_datetime(time));
    }
    let mut days = days & (u32::MAX << today) & !(1 << today);
    let end = from.year().saturating_add(CYCLE);
    loop {
        while days != 0 {
            let day = days.trailing_zeros();
            days &= days - 1;
            let date = Date::new(month.year, month.month, i8::try_from(day).ok()?).ok()?;
            // A day may be due and have no time that is.
            if let Some(time) = pattern.time(date, Time::midnight()) {
                return Some(date.to_datetime(time));
            }
        }
        let next = Date::new(month.year, month.month, 1).ok()?.checked_add(1.month()).ok()?;
        if next.year() > end {
            return None;
        }
        month = Month::of(next);
        days = pattern.days(month);
    }
}

fn second_after(time: DateTime) -> Option<DateTime> {
    time.checked_add(SignedDuration::from_secs(1)).ok()
}
