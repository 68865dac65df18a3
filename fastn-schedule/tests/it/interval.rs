//! Every so often.

use std::time::Duration;

use fastn_core::Timestamp;
use fastn_schedule::{Calendar, Interval, Zone};

use crate::support::{at, due};

#[test]
fn an_interval_is_counted_from_its_beginning_and_does_not_drift() {
    let calendar = Calendar::every(Duration::from_secs(7 * 60), at("2026-01-01T00:01:00Z")).unwrap();
    let from = |after: &str| due(&calendar, &Zone::utc(), at(after), 2);
    assert_eq!(from("2025-06-01T00:00:00Z"), ["2026-01-01T00:01:00Z", "2026-01-01T00:08:00Z"]);
    assert_eq!(from("2026-01-01T00:01:00Z"), ["2026-01-01T00:08:00Z", "2026-01-01T00:15:00Z"]);
    assert_eq!(from("2026-01-01T00:14:59Z"), ["2026-01-01T00:15:00Z", "2026-01-01T00:22:00Z"]);
    // 206 times seven minutes after 0:01 is 0:03 of the next day.
    assert_eq!(from("2026-01-02T00:00:00Z"), ["2026-01-02T00:03:00Z", "2026-01-02T00:10:00Z"]);
}

#[test]
fn an_interval_ends_where_time_does() {
    let every = Duration::from_secs(1 << 40);
    let interval = Interval::new(every, Timestamp::from_micros(i64::MIN)).unwrap();
    assert_eq!(interval.next(Timestamp::MAX), None);
    assert_eq!(interval.next(Timestamp::from_micros(i64::MIN)), Some(Timestamp::from_micros(i64::MIN).plus(every)));
    assert_eq!(
        Interval::new(Duration::from_secs(1), Timestamp::MAX).unwrap().next(Timestamp::EPOCH),
        Some(Timestamp::MAX)
    );
}

#[test]
fn an_interval_is_a_second_or_longer() {
    for every in [Duration::ZERO, Duration::from_millis(999), Duration::MAX] {
        assert!(Interval::new(every, Timestamp::EPOCH).is_err(), "{every:?}");
    }
    assert!(Interval::new(Duration::from_secs(1), Timestamp::EPOCH).is_ok());
}
