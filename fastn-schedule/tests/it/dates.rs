//! Dates and times of day, with exceptions.

use fastn_core::ErrorKind;
use fastn_schedule::{Calendar, Date, Dates, On, Rule, TimeOfDay, Weekday, Zone};

use crate::support::{at, due, zone};

fn date(text: &str) -> Date {
    text.parse().expect(text)
}

fn time(text: &str) -> TimeOfDay {
    text.parse().expect(text)
}

/// The next due times in UTC after the beginning of Thursday, 1 January 2026, at noon of these days.
#[track_caller]
fn check(on: &[On], except: &[On], expected: &[&str]) {
    let rules = vec![Rule::new(on.iter().copied(), [time("12:00")])];
    let calendar = Calendar::from(Dates::new(rules, except.to_vec()).expect("few"));
    let found = due(&calendar, &Zone::utc(), at("2026-01-01T00:00:00Z"), expected.len().max(1));
    let found: Vec<&str> = found.iter().map(|time| time.trim_end_matches("T12:00:00Z")).collect();
    assert_eq!(found, expected, "{on:?} except {except:?}");
}

#[test]
fn days_are_said_in_many_ways() {
    check(&[On::EveryDay], &[], &["2026-01-01", "2026-01-02", "2026-01-03"]);
    check(&[On::Weekday(Weekday::Sunday)], &[], &["2026-01-04", "2026-01-11"]);
    check(
        &[On::Weekday(Weekday::Saturday), On::Weekday(Weekday::Sunday)],
        &[],
        &["2026-01-03", "2026-01-04", "2026-01-10"],
    );
    check(&[On::MonthDay(31)], &[], &["2026-01-31", "2026-03-31", "2026-05-31"]);
    check(&[On::MonthDay(-1)], &[], &["2026-01-31", "2026-02-28", "2026-03-31"]);
    check(&[On::MonthDay(-31)], &[], &["2026-01-01", "2026-03-01", "2026-05-01"]);
    check(&[On::YearDay { month: 2, day: 29 }], &[], &["2028-02-29", "2032-02-29"]);
    check(&[On::Nth { nth: 2, weekday: Weekday::Monday }], &[], &["2026-01-12", "2026-02-09"]);
    check(&[On::Nth { nth: -1, weekday: Weekday::Friday }], &[], &["2026-01-30", "2026-02-27"]);
    check(&[On::Nth { nth: 5, weekday: Weekday::Monday }], &[], &["2026-03-30", "2026-06-29"]);
    check(&[On::Nth { nth: -5, weekday: Weekday::Monday }], &[], &["2026-03-02", "2026-06-01"]);
    check(&[On::Date(date("2030-07-04"))], &[], &["2030-07-04"]);
    check(
        &[On::Span { from: date("2026-01-30"), to: date("2026-02-02") }],
        &[],
        &["2026-01-30", "2026-01-31", "2026-02-01", "2026-02-02"],
    );
}

#[test]
fn nothing_is_due_on_an_exception() {
    let holidays = [On::YearDay { month: 1, day: 1 }, On::Span { from: date("2026-01-02"), to: date("2026-01-18") }];
    let workdays = [Weekday::Monday, Weekday::Tuesday].map(On::Weekday);
    check(&workdays, &holidays, &["2026-01-19", "2026-01-20", "2026-01-26"]);
    check(&[On::Date(date("2026-01-01"))], &holidays, &[]);
    check(&[On::EveryDay], &[On::EveryDay], &[]);
    check(&[On::EveryDay], &[On::Span { from: date("0001-01-01"), to: date("2199-12-31") }], &["2200-01-01"]);
}

#[test]
fn days_that_never_are_do_not_come() {
    for never in [
        On::MonthDay(0),
        On::MonthDay(32),
        On::MonthDay(i8::MIN),
        On::Nth { nth: 0, weekday: Weekday::Monday },
        On::Nth { nth: 6, weekday: Weekday::Monday },
        On::Nth { nth: i8::MIN, weekday: Weekday::Monday },
        On::YearDay { month: 2, day: 30 },
        On::YearDay { month: 0, day: 1 },
        On::YearDay { month: u8::MAX, day: u8::MAX },
        On::Span { from: date("2026-02-02"), to: date("2026-02-01") },
        On::Date(date("2025-12-31")),
    ] {
        check(&[never], &[], &[]);
    }
    check(&[], &[], &[]);
}

#[test]
fn each_rule_has_its_own_times() {
    let rules = vec![
        Rule::new([On::Weekday(Weekday::Thursday)], [time("18:00"), time("08:15"), time("18:00")]),
        Rule::new([On::EveryDay], [time("09:00:30")]),
        Rule::new([On::EveryDay], []),
    ];
    let calendar = Calendar::from(Dates::new(rules, vec![]).unwrap());
    let expected = ["2026-01-01T08:15:00Z", "2026-01-01T09:00:30Z", "2026-01-01T18:00:00Z", "2026-01-02T09:00:30Z"];
    assert_eq!(due(&calendar, &Zone::utc(), at("2026-01-01T00:00:00Z"), 4), expected);
}

#[test]
fn dates_are_of_their_zone_and_named_times_are_never_left_out() {
    let rules = vec![Rule::new([On::Date(date("2026-03-29")), On::Date(date("2026-10-25"))], [time("02:30")])];
    let calendar = Calendar::from(Dates::new(rules, vec![]).unwrap());
    let found = due(&calendar, &zone("Europe/Berlin"), at("2026-01-01T00:00:00Z"), 3);
    assert_eq!(found, ["2026-03-29T01:00:00Z", "2026-10-25T00:30:00Z"]);
    let found = due(&calendar, &zone("Asia/Tokyo"), at("2026-01-01T00:00:00Z"), 3);
    assert_eq!(found, ["2026-03-28T17:30:00Z", "2026-10-24T17:30:00Z"]);
}

#[test]
fn a_calendar_says_a_bounded_number_of_things() {
    let error = Dates::new(vec![Rule::new(vec![On::EveryDay; 2_000], [time("12:00")])], vec![]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(
        Dates::new(vec![Rule::new(vec![On::EveryDay; 1_000], [time("12:00")])], vec![On::MonthDay(1); 998]).is_ok()
    );
}
