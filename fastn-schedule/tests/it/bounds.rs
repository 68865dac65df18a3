//! Whatever is asked, the answer comes, and soon.

use std::time::{Duration, Instant};

use fastn_core::Timestamp;
use fastn_schedule::{Calendar, Cron, Dates, On, Rule, Weekday, Zone};
use proptest::prelude::*;

use crate::support::{at, due, zone};

#[test]
fn a_long_expression_is_not_read() {
    let list = |count: u32| (0..count).map(|n| (n % 60).to_string()).collect::<Vec<_>>().join(",");
    assert!(Cron::new(&format!("{} * * * *", list(60))).is_ok());
    assert!(Cron::new(&format!("{} * * * *", list(1_000))).is_err());
    assert!(Cron::new(&" ".repeat(1 << 20)).is_err());
}

#[test]
fn what_never_comes_is_soon_known() {
    let rules = vec![Rule::new(vec![On::Nth { nth: 6, weekday: Weekday::Monday }; 1_000], ["12:00".parse().unwrap()])];
    let except = vec![On::Nth { nth: 1, weekday: Weekday::Monday }; 900];
    let never = [Calendar::cron("* * * 31 2 *").unwrap(), Calendar::from(Dates::new(rules, except).unwrap())];
    for calendar in never {
        for name in ["UTC", "Europe/Berlin", "Australia/Lord_Howe"] {
            let begun = Instant::now();
            assert_eq!(calendar.next(at("2026-01-01T00:00:00Z"), &zone(name)), None);
            assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        }
    }
}

#[test]
fn the_ends_of_time_have_answers() {
    let calendars = ["* * * * * *", "0 0 1 1 *", "0 0 29 2 *", "*/7 * * * *"].map(|text| Calendar::cron(text).unwrap());
    for calendar in calendars {
        for name in ["UTC", "Europe/Berlin", "Pacific/Apia", "-18:00", "+18:00"] {
            let zone = zone(name);
            assert_eq!(calendar.next(Timestamp::MAX, &zone), None);
            let first = calendar.next(Timestamp::from_micros(i64::MIN), &zone);
            assert!(first.is_some_and(|first| first < Timestamp::EPOCH), "{calendar:?} in {name}");
            // The last moments of the year 9999.
            let late = Timestamp::from_millis(253_402_207_199_000);
            if let Some(next) = calendar.next(late, &zone) {
                assert!(next > late);
            }
        }
    }
}

#[test]
fn the_last_due_time_is_found_without_counting_all() {
    let second = Calendar::cron("* * * * * *").unwrap();
    let (from, to) = (at("1990-01-01T00:00:00Z"), at("2026-05-05T05:05:05Z"));
    let begun = Instant::now();
    assert_eq!(second.last(from, to, &zone("Europe/Berlin")), Some(to));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let daily = Calendar::cron("30 4 * * *").unwrap();
    assert_eq!(daily.last(from, to, &Zone::utc()), Some(at("2026-05-05T04:30:00Z")));
    assert_eq!(daily.last(at("2026-05-05T04:30:00Z"), to, &Zone::utc()), None);
    assert_eq!(
        daily.last(at("2026-05-05T04:29:59Z"), at("2026-05-05T04:30:00Z"), &Zone::utc()),
        Some(at("2026-05-05T04:30:00Z"))
    );
    assert_eq!(daily.last(to, from, &Zone::utc()), None);
}

/// Expressions of all kinds.
fn expressions() -> impl Strategy<Value = String> {
    let field = |least: u32, most: u32| {
        let value = least..=most;
        let item = prop_oneof![
            3 => value.clone().prop_map(|a| a.to_string()),
            2 => (value.clone(), value.clone()).prop_map(|(a, b)| format!("{a}-{b}")),
            1 => (value.clone(), value.clone(), 1..40_u32).prop_map(|(a, b, step)| format!("{a}-{b}/{step}")),
            1 => (1..40_u32).prop_map(|step| format!("*/{step}")),
            1 => (value, 1..40_u32).prop_map(|(a, step)| format!("{a}/{step}")),
        ];
        prop_oneof![1 => Just("*".to_owned()), 2 => prop::collection::vec(item, 1..3).prop_map(|items| items.join(","))]
    };
    let day =
        prop_oneof![5 => field(1, 31), 1 => Just("L".to_owned()), 1 => (1..=31_u32).prop_map(|day| format!("{day}W"))];
    let weekday =
        prop_oneof![5 => field(0, 7), 1 => (0..=7_u32, 1..=5_u32).prop_map(|(day, nth)| format!("{day}#{nth}"))];
    (field(0, 59), field(0, 59), field(0, 23), day, field(1, 12), weekday).prop_map(
        |(second, minute, hour, day, month, weekday)| format!("{second} {minute} {hour} {day} {month} {weekday}"),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// No due time lies between a moment and the next due time.
    #[test]
    fn nothing_is_due_between(
        text in expressions(), name in prop::sample::select(vec!["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago"]),
        after in 946_684_800_000_i64..2_082_758_400_000, part in 0.0..1.0_f64,
    ) {
        let (calendar, zone, after) = (Calendar::cron(&text).unwrap(), zone(name), Timestamp::from_millis(after));
        if let Some(next) = calendar.next(after, &zone) {
            prop_assert!(next > after);
            let between = after.plus(next.since(after).mul_f64(part)).min(Timestamp::from_micros(next.as_micros() - 1));
            prop_assert_eq!(calendar.next(between, &zone), Some(next), "{} in {}", text, name);
            prop_assert_eq!(calendar.last(after, next, &zone), Some(next));
            prop_assert_eq!(due(&calendar, &zone, after, 3).len() <= 3, true);
        }
    }

    /// What is written is read as itself.
    #[test]
    fn an_expression_is_read_as_it_was_written(text in expressions()) {
        let cron = Cron::new(&text).unwrap();
        prop_assert_eq!(cron.as_str(), &text);
        prop_assert_eq!(serde_json::from_str::<Cron>(&serde_json::to_string(&cron).unwrap()).unwrap(), cron);
    }
}
