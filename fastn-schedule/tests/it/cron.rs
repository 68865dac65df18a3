//! What cron expressions say.

use fastn_core::ErrorKind;
use fastn_schedule::{Calendar, Cron, Zone};

use crate::support::{at, due};

/// The next due times in UTC after the beginning of Thursday, 1 January 2026.
#[track_caller]
fn check(expression: &str, expected: &[&str]) {
    let calendar = Calendar::cron(expression).expect(expression);
    let found = due(&calendar, &Zone::utc(), at("2026-01-01T00:00:00Z"), expected.len().max(1));
    let found: Vec<&str> = found.iter().map(|time| time.trim_end_matches(":00Z")).collect();
    assert_eq!(found, expected, "{expression}");
}

#[test]
fn fields_are_minute_hour_day_month_and_weekday() {
    check("5 4 3 2 *", &["2026-02-03T04:05", "2027-02-03T04:05"]);
    check("0 12 * * MON", &["2026-01-05T12:00", "2026-01-12T12:00"]);
    check("\t30  6 * * *\n", &["2026-01-01T06:30", "2026-01-02T06:30"]);
}

#[test]
fn a_sixth_field_before_the_others_is_of_seconds() {
    check("15 5 4 3 2 *", &["2026-02-03T04:05:15Z"]);
    check("*/30 59 23 31 12 *", &["2026-12-31T23:59", "2026-12-31T23:59:30Z", "2027-12-31T23:59"]);
    check("59 59 23 * * *", &["2026-01-01T23:59:59Z"]);
}

#[test]
fn either_day_is_enough_where_both_are_said() {
    check("0 0 13 * FRI", &["2026-01-02T00:00", "2026-01-09T00:00", "2026-01-13T00:00", "2026-01-16T00:00"]);
    check("0 0 13 * ?", &["2026-01-13T00:00", "2026-02-13T00:00"]);
    check("0 0 ? * FRI", &["2026-01-02T00:00", "2026-01-09T00:00"]);
    check("0 0 13 * */1", &["2026-01-13T00:00", "2026-02-13T00:00"]);
    // A step says something.
    check("0 0 */15 * MON", &["2026-01-05T00:00", "2026-01-12T00:00", "2026-01-16T00:00", "2026-01-19T00:00"]);
}

#[test]
fn zero_and_seven_are_sunday() {
    let sundays = ["2026-01-04T00:00", "2026-01-11T00:00"];
    for sunday in ["0", "7", "SUN", "sun", "Sun", "0,7", "7-7"] {
        check(&format!("0 0 * * {sunday}"), &sundays);
    }
    check(
        "0 0 * * FRI-MON",
        &["2026-01-02T00:00", "2026-01-03T00:00", "2026-01-04T00:00", "2026-01-05T00:00", "2026-01-09T00:00"],
    );
    check("0 0 * * 5-7", &["2026-01-02T00:00", "2026-01-03T00:00", "2026-01-04T00:00", "2026-01-09T00:00"]);
}

#[test]
fn ranges_and_steps_count_from_where_they_begin() {
    check(
        "5/15 0 * * *",
        &["2026-01-01T00:05", "2026-01-01T00:20", "2026-01-01T00:35", "2026-01-01T00:50", "2026-01-02T00:05"],
    );
    check("10-40/20 0 * * *", &["2026-01-01T00:10", "2026-01-01T00:30", "2026-01-02T00:10"]);
    check("*/25 1 * * *", &["2026-01-01T01:00", "2026-01-01T01:25", "2026-01-01T01:50", "2026-01-02T01:00"]);
    check("0 22-4/2 * * *", &["2026-01-01T02:00", "2026-01-01T04:00", "2026-01-01T22:00", "2026-01-02T00:00"]);
    check("0 0 1 NOV-FEB/3 *", &["2026-02-01T00:00", "2026-11-01T00:00", "2027-02-01T00:00"]);
}

#[test]
fn days_are_counted_from_the_end_and_to_the_nearest_workday() {
    check("0 0 L * *", &["2026-01-31T00:00", "2026-02-28T00:00", "2026-03-31T00:00"]);
    check("0 0 L-2 2 *", &["2026-02-26T00:00", "2027-02-26T00:00", "2028-02-27T00:00"]);
    check("0 0 LW * *", &["2026-01-30T00:00", "2026-02-27T00:00", "2026-03-31T00:00"]);
    check("0 0 15W * *", &["2026-01-15T00:00", "2026-02-16T00:00", "2026-03-16T00:00"]);
    check("0 0 1w,20 * *", &["2026-01-20T00:00", "2026-02-02T00:00", "2026-02-20T00:00"]);
    check("0 0 31W * *", &["2026-01-30T00:00", "2026-03-31T00:00", "2026-05-29T00:00"]);
    for last in ["5L", "L5", "FRIL", "5#L", "fri#l"] {
        check(&format!("0 0 * * {last}"), &["2026-01-30T00:00", "2026-02-27T00:00"]);
    }
    check("0 0 * * MON#2", &["2026-01-12T00:00", "2026-02-09T00:00"]);
    check("0 0 * * 1#5", &["2026-03-30T00:00", "2026-06-29T00:00"]);
    check("0 0 * * MON#1,FRI#L", &["2026-01-05T00:00", "2026-01-30T00:00", "2026-02-02T00:00"]);
}

#[test]
fn names_stand_for_the_usual() {
    check("@yearly", &["2027-01-01T00:00", "2028-01-01T00:00"]);
    check("@Annually", &["2027-01-01T00:00"]);
    check("@monthly", &["2026-02-01T00:00", "2026-03-01T00:00"]);
    check("@weekly", &["2026-01-04T00:00", "2026-01-11T00:00"]);
    check("@daily", &["2026-01-02T00:00", "2026-01-03T00:00"]);
    check("@midnight", &["2026-01-02T00:00"]);
    check("@hourly", &["2026-01-01T01:00", "2026-01-01T02:00"]);
}

#[test]
fn leap_days_are_waited_for_and_impossible_days_are_not() {
    check("0 0 29 2 *", &["2028-02-29T00:00", "2032-02-29T00:00"]);
    // 2100 is no leap year.
    let calendar = Calendar::cron("0 0 29 2 *").unwrap();
    assert_eq!(due(&calendar, &Zone::utc(), at("2096-02-29T00:00:00Z"), 1), ["2104-02-29T00:00:00Z"]);
    // A fifth Monday of February is a leap day.
    check("0 0 ? 2 MON#5", &["2044-02-29T00:00", "2072-02-29T00:00"]);
    for never in ["0 0 31 2 *", "0 0 30 2 ?", "0 0 31 4,6,9,11 *", "0 0 L-30 2,4 *", "* * 31W 2 *"] {
        check(never, &[]);
    }
}

#[test]
fn what_is_no_expression_is_refused_with_a_reason() {
    let refused = [
        "",
        " ",
        "*",
        "* * * *",
        "* * * * * * *",
        "@",
        "@reboot",
        "@daily *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 0 *",
        "* * * 13 *",
        "* * * * 8",
        "60 * * * * *",
        "* * * FOO *",
        "* * * * MONDAY",
        "*/0 * * * *",
        "* ? * * *",
        "* * * ? *",
        "a * * * *",
        "1,, * * * *",
        "-1 * * * *",
        "1--2 * * * *",
        "* * L-0 * *",
        "* * L-31 * *",
        "* * LL * *",
        "* * W * *",
        "* * 0W * *",
        "* * 32W * *",
        "* * 1-5W * *",
        "* * * * L",
        "* * * * #",
        "* * * * 1#0",
        "* * * * 1#6",
        "* * * * 1-5#2",
        "* * * * 8#1",
        "* * L/2 * *",
        "* * ?/2 * *",
        "* * 1 * ?,1",
        "1\u{0} * * * *",
        "\u{661} * * * *",
        "*\u{a0}* * * *",
        "99999999999999999999 * * * *",
        "*/99999999999999999999 * * * *",
    ];
    for text in refused {
        let error = Cron::new(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text:?}");
        assert!(error.chain().len() > 1, "{text:?} is refused without a reason: {error}");
    }
    let error = Cron::new("0 24 * * *").unwrap_err();
    let chain = error.chain().join(": ");
    assert_eq!(chain, "read cron expression: invalid (field hour, text \"24\"): this is out of range");
}
