//! Nights in which clocks are set.

use fastn_schedule::{Calendar, Zone};

use crate::support::{at, shown, zone};

/// The due times of the day and a half after a moment.
#[track_caller]
fn check(expression: &str, name: &str, after: &str, expected: &str) {
    let (calendar, zone) = (Calendar::cron(expression).expect(expression), zone(name));
    let end = at(after).plus(std::time::Duration::from_secs(36 * 3600));
    let next = |after: &_| calendar.next(*after, &zone).filter(|due| *due < end);
    let found: Vec<String> = std::iter::successors(next(&at(after)), next).map(shown).collect();
    let times: Vec<&str> = found.iter().map(|time| time[8..].trim_end_matches(":00Z")).collect();
    assert_eq!(times.join(" "), expected, "{expression} in {name} after {after}");
}

/// Berlin goes from 2:00, which is 1:00 in UTC, to 3:00 on 29 March.
const SPRING: &str = "2026-03-28T23:00:00Z";

/// Berlin goes from 3:00, which is 1:00 in UTC, back to 2:00 on 25 October.
const AUTUMN: &str = "2026-10-24T22:00:00Z";

#[test]
fn a_named_time_that_does_not_exist_is_due_when_clocks_are_set() {
    check("30 2 * * *", "Europe/Berlin", SPRING, "29T01:00 30T00:30");
    check("0,15,30 2 * * *", "Europe/Berlin", SPRING, "29T01:00 30T00:00 30T00:15 30T00:30");
    check("15 1-3 * * *", "Europe/Berlin", SPRING, "29T00:15 29T01:00 29T01:15 29T23:15 30T00:15 30T01:15");
    check("0 2,3 * * *", "Europe/Berlin", SPRING, "29T01:00 30T00:00 30T01:00");
    check("10 30 2 * * *", "Europe/Berlin", SPRING, "29T01:00 30T00:30:10Z");
    check("30 2 29 3 *", "Europe/Berlin", SPRING, "29T01:00");
}

#[test]
fn a_named_time_that_exists_twice_is_due_the_first_time() {
    check("30 2 * * *", "Europe/Berlin", AUTUMN, "25T00:30 26T01:30");
    check("0 2,3 * * *", "Europe/Berlin", AUTUMN, "25T00:00 25T02:00 26T01:00 26T02:00");
    check(
        "*/20 30 2 * * *",
        "Europe/Berlin",
        AUTUMN,
        "25T00:30 25T00:30:20Z 25T00:30:40Z 26T01:30 26T01:30:20Z 26T01:30:40Z",
    );
    // Asked in between, when it was due already.
    check("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", "26T01:30");
}

#[test]
fn what_goes_by_the_clock_is_passed_over_or_due_both_times() {
    check("*/30 2 * * *", "Europe/Berlin", SPRING, "30T00:00 30T00:30");
    check("0 */6 * * *", "Europe/Berlin", SPRING, "29T04:00 29T10:00 29T16:00 29T22:00 30T04:00 30T10:00");
    check("0-59 2 29 3 *", "Europe/Berlin", SPRING, "");
    check("*/30 2 * * *", "Europe/Berlin", AUTUMN, "25T00:00 25T00:30 25T01:00 25T01:30 26T01:00 26T01:30");
    check(
        "15 * 25 10 *",
        "Europe/Berlin",
        "2026-10-24T23:30:00Z",
        &(0..23).map(|hour| format!("25T{hour:02}:15")).collect::<Vec<_>>().join(" "),
    );
}

#[test]
fn what_is_due_every_hour_is_due_every_hour() {
    for (name, after) in [
        ("Europe/Berlin", SPRING),
        ("Europe/Berlin", AUTUMN),
        ("America/New_York", "2026-03-08T05:00:00Z"),
        ("America/New_York", "2026-11-01T04:00:00Z"),
    ] {
        for expression in ["30 * * * *", "30 0-23 * * *"] {
            let hours = (1..=36).map(|hour| at(after).plus(std::time::Duration::from_secs(hour * 3600 - 1800)));
            let times: Vec<String> = hours.map(|time| shown(time)[8..16].to_owned()).collect();
            check(expression, name, after, &times.join(" "));
        }
    }
}

#[test]
fn clocks_of_all_kinds_are_set() {
    // New York: 2:00 to 3:00 on 8 March, 2:00 to 1:00 on 1 November.
    check("30 2 * * *", "America/New_York", "2026-03-08T05:00:00Z", "08T07:00 09T06:30");
    check("30 1 * * *", "America/New_York", "2026-11-01T04:00:00Z", "01T05:30 02T06:30");
    // Lord Howe: half an hour, 2:00 to 2:30 on 4 October and 2:00 to 1:30 on 5 April.
    check("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T14:00:00Z", "03T15:30 04T15:15");
    check("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T13:00:00Z", "04T14:45 05T15:15");
    check(
        "45 * 5 4 *",
        "Australia/Lord_Howe",
        "2026-04-04T13:50:00Z",
        &format!(
            "04T14:45 04T15:15 {}",
            "04T16:15 04T17:15 04T18:15 04T19:15 04T20:15 04T21:15 04T22:15 04T23:15 05T00:15 05T01:15 05T02:15 05T03:15 05T04:15 05T05:15 05T06:15 05T07:15 05T08:15 05T09:15 05T10:15 05T11:15 05T12:15 05T13:15"
        ),
    );
    // Santiago: midnight does not exist on 6 September, 24:00 to 1:00, and 23:00 exists twice on 4 April.
    check("0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", "06T04:00");
    check("30 23 * * *", "America/Santiago", "2026-04-04T12:00:00Z", "05T02:30");
    // Samoa went without 30 December 2011.
    check("0 10 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", "29T20:00 30T10:00 30T20:00");
    check("0 */12 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", "29T22:00 30T10:00 30T22:00");
}

#[test]
fn zones_that_do_not_set_clocks_change_nothing() {
    check("30 2 * * *", "UTC", SPRING, "29T02:30 30T02:30");
    check("30 2 * * *", "+05:30", SPRING, "29T21:00");
    check("30 2 * * *", "-03:00", SPRING, "29T05:30 30T05:30");
    check("30 2 * * *", "Asia/Kathmandu", SPRING, "29T20:45");
}

#[test]
fn zones_are_known_by_name_or_offset() {
    for (text, name) in [
        ("utc", "UTC"),
        ("Z", "UTC"),
        ("europe/berlin", "Europe/Berlin"),
        ("+05:30", "+05:30"),
        ("-18:00", "-18:00"),
        ("Etc/GMT+5", "Etc/GMT+5"),
    ] {
        assert_eq!(text.parse::<Zone>().expect(text).as_str(), name);
    }
    let long = "x".repeat(10_000);
    for text in [
        "",
        " ",
        "Berlin",
        "Europe/",
        "../etc/passwd",
        "+5",
        "+05:3",
        "+19:00",
        "+18:01",
        "+05:60",
        "5:30",
        "+-5:30",
        "\0",
        &long,
    ] {
        let error = text.parse::<Zone>().expect_err(text);
        assert!(error.to_string().len() < 500, "{text:?}");
    }
}
