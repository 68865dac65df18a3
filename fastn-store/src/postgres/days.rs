//! Days, and the numbers of the runs in them.

use fastn_core::{RunId, Timestamp};

/// A day, in seconds.
pub(super) const DAY: i64 = 24 * 60 * 60;

/// How many bits of a run's number tell it from others of the same second.
const COUNTED: u32 = 31;

/// The first number of a second.
pub(super) const fn first_of(second: i64) -> i64 {
    second << COUNTED
}

/// The second in which a time is, as a run's number has it: from 1970 to 2106.
pub(super) fn second_of(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(1_000_000).clamp(0, i64::from(u32::MAX))
}

/// The days in which runs are created, in seconds since 1970: from the first to before the second. There is a partition of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Days {
    from: i64,
    to: i64,
}

impl Days {
    /// From one day to another, both included, counted from 1970.
    pub(super) const fn new(first: i64, last: i64) -> Self {
        Self { from: first * DAY, to: (last + 1) * DAY }
    }

    /// The second nearest to this one in which a run may be created.
    pub(super) fn nearest(self, second: i64) -> i64 {
        second.min(self.to - 1).max(self.from)
    }
}

/// The numbers of a day's runs: from the first to before the second.
pub(super) const fn range(day: i64) -> (i64, i64) {
    (first_of(day * DAY), first_of((day + 1) * DAY))
}

/// The numbers among which the run of a drawn id is, if there is one: such an id says when it was drawn (RFC 9562,
/// section 5.7). `None` of other ids.
pub(super) fn range_of(id: RunId) -> Option<(i64, i64)> {
    let millis = drawn_at(id)?;
    Some(range(millis.div_euclid(1_000 * DAY)))
}

/// When an id was drawn, in milliseconds, if it was and the time is one that a run's number can have.
pub(super) fn drawn_at(id: RunId) -> Option<i64> {
    let bytes = id.as_bytes();
    let millis = bytes.iter().take(6).fold(0_i64, |millis, byte| (millis << 8) | i64::from(*byte));
    let version = bytes.get(6).map(|byte| byte >> 4);
    (version == Some(7) && millis / 1_000 < i64::from(u32::MAX) - DAY).then_some(millis)
}
