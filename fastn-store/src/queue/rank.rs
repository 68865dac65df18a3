//! In which order runs of one key go.

use std::time::Duration;

use fastn_core::Timestamp;

use super::rate::YEAR;

/// The place of a run among those that wait: smaller ones go first.
///
/// A point of priority is worth a span of waiting. So the order of two runs never changes while they wait, though they age,
/// and an index keeps it.
pub(crate) fn rank(ready_at: Timestamp, priority: i16, ageing: Duration) -> i64 {
    let point = i64::try_from(ageing.min(YEAR).as_micros()).unwrap_or(i64::MAX);
    ready_at.as_micros().saturating_sub(i64::from(priority).saturating_mul(point))
}
