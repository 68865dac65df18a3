//! `Retry-After`.

use std::time::{Duration, SystemTime};

use fastn_connectors::http::MAX_RETRY_AFTER;
use fastn_connectors::http::fuzzing::retry_after;

pub(crate) const WORDS: &[&str] = &[
    "Sun, ",
    "06 Nov ",
    "1994",
    " 08:49:37",
    " GMT",
    "Sunday, ",
    "06-Nov-94",
    "Feb 29",
    "9999",
    "60",
    "24:00:00",
    "-",
];

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for now in [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)] {
        let wait = retry_after(text, now);
        assert!(wait.is_none_or(|wait| wait <= MAX_RETRY_AFTER));
        assert_eq!(retry_after(&format!(" {text}\t"), now), wait, "space around it means nothing");
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            assert_eq!(wait, Some(text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs).min(MAX_RETRY_AFTER)));
        }
    }
}
