//! Calendars as they are stored.

use std::time::Duration;

use fastn_core::Timestamp;
use fastn_schedule::{Calendar, Dates, On, Rule, Weekday, Zone};

#[track_caller]
fn check(calendar: &Calendar, expected: &str) {
    assert_eq!(serde_json::to_string(calendar).unwrap(), expected);
    assert_eq!(serde_json::from_str::<Calendar>(expected).unwrap(), *calendar);
}

#[test]
fn calendars_are_read_as_they_were_written() {
    check(&Calendar::cron("*/5 9-17 * * MON-FRI").unwrap(), r#"{"cron":"*/5 9-17 * * MON-FRI"}"#);
    let every = Calendar::every(Duration::from_secs(90), Timestamp::from_millis(5)).unwrap();
    check(&every, r#"{"interval":{"every":90000000,"from":5000}}"#);
    let rule = Rule::new(
        [On::Weekday(Weekday::Monday), On::MonthDay(-1), On::Nth { nth: 2, weekday: Weekday::Friday }],
        ["09:30".parse().unwrap()],
    );
    let except = vec![
        On::Date("2026-12-24".parse().unwrap()),
        On::YearDay { month: 1, day: 1 },
        On::Span { from: "2026-07-01".parse().unwrap(), to: "2026-07-31".parse().unwrap() },
        On::EveryDay,
    ];
    let expected = concat!(
        r#"{"dates":{"rules":[{"on":[{"weekday":"monday"},{"month_day":-1},{"nth":{"nth":2,"weekday":"friday"}}],"#,
        r#""at":["09:30:00"]}],"except":[{"date":"2026-12-24"},{"year_day":{"month":1,"day":1}},"#,
        r#"{"span":{"from":"2026-07-01","to":"2026-07-31"}},"every_day"]}}"#,
    );
    check(&Dates::new(vec![rule], except).unwrap().into(), expected);
    let zone: Zone = "Europe/Berlin".parse().unwrap();
    assert_eq!(serde_json::to_string(&zone).unwrap(), r#""Europe/Berlin""#);
    assert_eq!(serde_json::from_str::<Zone>(r#""Europe/Berlin""#).unwrap(), zone);
}

#[test]
fn what_cannot_be_is_not_read() {
    for text in [
        r#"{"cron":"61 * * * *"}"#,
        r#"{"cron":7}"#,
        r#"{"interval":{"every":0,"from":0}}"#,
        r#"{"interval":{"every":-1000000,"from":0}}"#,
        r#"{"interval":{"every":9223372036854775807,"from":0}}"#,
        r#"{"dates":{"rules":[{"on":[{"date":"2026-02-30"}],"at":["09:30"]}]}}"#,
        r#"{"dates":{"rules":[{"on":["every_day"],"at":["25:30"]}]}}"#,
        r#"{"sundial":{}}"#,
    ] {
        assert!(serde_json::from_str::<Calendar>(text).is_err(), "{text}");
    }
    let many = vec![r#""every_day""#; 3_000].join(",");
    assert!(serde_json::from_str::<Calendar>(&format!(r#"{{"dates":{{"rules":[],"except":[{many}]}}}}"#)).is_err());
}
