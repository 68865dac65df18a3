//! Durations in few words.

use std::time::Duration;

/// So many milliseconds.
pub const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// So many seconds.
pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// So many minutes of 60 seconds; more than a [`Duration`] can hold are as many as it can.
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(60))
}

/// So many hours of 60 minutes; more than a [`Duration`] can hold are as many as it can.
pub const fn hours(n: u64) -> Duration {
    minutes(n.saturating_mul(60))
}

/// So many days of 24 hours; more than a [`Duration`] can hold are as many as it can.
///
/// A span, not a date: it does not know of daylight saving time.
pub const fn days(n: u64) -> Duration {
    hours(n.saturating_mul(24))
}
