//! Cron expressions, zones and calendars.

use fastn_core::Timestamp;
use fastn_schedule::{Calendar, Cron, Date, TimeOfDay, Zone};

pub(crate) const WORDS: &[&str] = &[
    "* ",
    "*/",
    "0-7",
    "1,2",
    "JAN",
    "sun",
    "L",
    "LW",
    "15W",
    "#L",
    "#5",
    "?",
    "@daily",
    "30 2 29 2 *",
    "\n",
    "Europe/Berlin",
    "Pacific/Apia",
    "+05:30",
    "{\"cron\":\"",
    "{\"interval\":{\"every\":1000000,\"from\":0}}",
    "{\"dates\":{\"rules\":[{\"on\":[\"every_day\"],\"at\":[\"12:00\"]}],\"except\":[]}}",
    "{\"month_day\":-1}",
    "{\"date\":\"2026-12-24\"}",
];

/// A zone in the first line, an expression or a calendar as JSON in the rest, after a time by the number of bytes.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (first, rest) = text.split_once('\n').unwrap_or(("UTC", text));
    let zone = first.parse::<Zone>().unwrap_or_default();
    assert_eq!(zone.as_str().parse::<Zone>().expect("it was written"), zone);
    if let Ok(date) = rest.parse::<Date>() {
        assert_eq!(date.to_string(), rest);
    }
    if let Ok(time) = rest.parse::<TimeOfDay>() {
        assert!(time.to_string().starts_with(rest));
    }
    let cron = Cron::new(rest);
    if let Ok(cron) = &cron {
        assert_eq!(cron.as_str(), rest);
        assert!(Cron::new(&format!(" {}\t", rest.to_ascii_lowercase())).is_ok(), "space and case mean nothing");
    }
    let calendar = cron.map(Calendar::from).ok().or_else(|| serde_json::from_str(rest).ok());
    if let Some(calendar) = calendar {
        let written = serde_json::to_string(&calendar).expect("a calendar is JSON");
        assert_eq!(serde_json::from_str::<Calendar>(&written).expect("it was written"), calendar);
        let millions = i64::try_from(bytes.len()).expect("few bytes").saturating_mul(20_000_000);
        check(&calendar, &zone, Timestamp::from_millis(millions.saturating_mul(1_000)));
    }
}

fn check(calendar: &Calendar, zone: &Zone, after: Timestamp) {
    let Some(next) = calendar.next(after, zone) else { return };
    assert!(next > after);
    let middle = Timestamp::from_micros(after.as_micros() + (next.as_micros() - after.as_micros()) / 2);
    if middle < next {
        assert_eq!(calendar.next(middle, zone), Some(next), "nothing is due in between");
    }
    assert_eq!(calendar.last(after, next, zone), Some(next));
    assert!(calendar.next(next, zone).is_none_or(|later| later > next));
}
