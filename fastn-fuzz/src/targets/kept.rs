//! What is kept beside runs and told to them: schedules, what became of dead letters, messages.

use fastn_core::Timestamp;
use fastn_runtime::fuzzing::{audit_line, dead_letter_mark, kept_schedule, message, write_schedule};

use crate::object::{fields, keeps_the_unknown};

pub(crate) const WORDS: &[&str] = &[
    "{\"format\":1,",
    "\"workflow\":\"w\"",
    "\"input\":\"due_time\"",
    "{\"bytes\":{\"content\":\"\",\"bytes\":[0]}}",
    "\"calendar\":{\"cron\":\"* * * * *\"}",
    "\"calendar\":{\"interval\":{\"every\":1,\"from\":0}}",
    "\"zone\":\"Europe/Berlin\"",
    "\"overlap\":\"buffer_one\"",
    "\"catch_up\":{\"all\":{\"within\":{\"secs\":60,\"nanos\":0},\"most\":5}}",
    "\"position\":-9223372036854775808",
    "\"jitter\":18446744073709551615",
    "\"generation\":1",
    "\"retries\":4294967295",
    "\"retried\":{\"run\":\"01000000-0000-0000-0000-000000000000\",\"at\":5}",
    "\"dismissed\":{\"by\":\"\",\"why\":\"\",\"at\":0}",
    "{\"v\":1,\"kind\":\"cancel\",\"reason\":\"\"}",
    "{\"v\":1,\"kind\":\"pause\",\"actor\":\"ann\",\"reason\":\"\"}",
    "\"deed\":{\"deed\":\"resume\"}",
    "\"by\":{\"actor\":\"ann\",\"reason\":\"\"}",
];

/// What hosts say of a schedule.
const SAID: &[&str] = &["workflow", "version", "input", "calendar", "zone", "overlap", "catch_up", "jitter", "paused"];

/// Some time in 2026.
const NOW: Timestamp = Timestamp::from_millis(1_774_656_000_000);

pub(crate) fn run(bytes: &[u8]) {
    if let Ok(kept) = kept_schedule(bytes, NOW) {
        assert_eq!(kept_schedule(&kept.written, NOW).expect("it was written"), kept);
        keeps_the_unknown(bytes, &kept.written);
        let new = write_schedule(&kept.said).expect("a schedule is JSON");
        assert_eq!(kept_schedule(&new, NOW).expect("it was written").said, kept.said);
        let (written, new) = (fields(&kept.written), fields(&new));
        // Bytes that happen to be text may be spelt as bytes, and are written as text; that it is the same input was seen above.
        let as_bytes = written.get("input").is_some_and(|input| input.get("bytes").is_some());
        for name in SAID.iter().filter(|name| **name != "input" || !as_bytes) {
            assert_eq!(new.get(*name), written.get(*name), "{name}, as hosts see it");
        }
        assert!(kept.due.is_none_or(|(due, _)| due <= NOW), "nothing is fired before its time");
    }
    if let Ok((written, changed)) = dead_letter_mark(bytes) {
        assert_eq!(dead_letter_mark(&written).expect("it was written"), (written, changed.clone()));
        keeps_the_unknown(bytes, &changed);
        let (again, _) = dead_letter_mark(&changed).expect("it was written");
        assert_eq!(again, changed);
    }
    if let Ok(written) = audit_line(bytes) {
        assert_eq!(audit_line(&written).expect("it was written"), written);
    }
    if let Ok(written) = message(bytes) {
        assert_eq!(message(&written).expect("it was written"), written);
    }
}
