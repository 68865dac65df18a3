//! The URL of a Redis.

use fastn_store::fuzzing::redis_url;

use crate::secret::with_another_password;

pub(crate) const WORDS: &[&str] = &[
    "redis://",
    "rediss://",
    "valkey://",
    "unix://",
    "redis+unix://",
    "user:secret@",
    ":secret@",
    "[::1]:6379",
    "/0",
    "?db=1",
    "&pass=secret",
    "&user=",
    "?protocol=resp3",
    "#insecure",
    "%23",
    "-1",
];

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let told = redis_url(text);
    if let Some(other) = with_another_password(text) {
        assert_eq!(told, redis_url(&other), "the password of {text:?} is shown");
    }
}
