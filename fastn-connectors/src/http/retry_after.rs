//! `Retry-After` (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

/// The longest wait taken from a `Retry-After`: a service that asks for more is asked again after this time.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// How long the field asks to wait, seen from `now`. A value that is neither seconds nor a date asks for nothing.
pub(super) fn wait(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are a very long wait, not a mistake.
        value.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_seconds_or_dates() {
        // 1994-11-06T08:49:37Z, the date of RFC 9110's examples.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let check =
            |value, expected: Option<u64>| assert_eq!(wait(value, now).map(|w| w.as_secs()), expected, "{value}");
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("86400", Some(3_600));
        check("99999999999999999999999999", Some(3_600));
        check("Sun, 06 Nov 1994 08:50:37 GMT", Some(60));
        check("Sunday, 06-Nov-94 08:50:37 GMT", Some(60));
        check("Sun Nov  6 08:50:37 1994", Some(60));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("Sat, 06 Nov 2094 08:00:00 GMT", Some(3_600));
        check("-1", None);
        check("1.5", None);
        check("soon", None);
        check("", None);
    }
}
