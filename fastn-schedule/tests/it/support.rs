//! Short words for what these tests say often.

use fastn_core::Timestamp;
use fastn_schedule::{Calendar, Date, TimeOfDay, Zone};

/// A moment, written `2026-11-20T08:00:00Z`.
#[track_caller]
pub(crate) fn at(text: &str) -> Timestamp {
    let (date, time) = text.strip_suffix('Z').and_then(|text| text.split_once('T')).expect(text);
    let _: (Date, TimeOfDay) = (date.parse().expect(text), time.parse().expect(text));
    let numbers: Vec<i64> = date.split('-').chain(time.split(':')).map(|part| part.parse().expect(text)).collect();
    let [year, month, day, hour, minute, second] = numbers.try_into().expect(text);
    // Days since 1970 of the proleptic Gregorian calendar, counted from March on.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = days + (153 * month + 2) / 5 + day - 1 - 719_468;
    Timestamp::from_millis((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000)
}

/// How a moment is written.
pub(crate) fn shown(time: Timestamp) -> String {
    time.to_string().replace(".000Z", "Z")
}

#[track_caller]
pub(crate) fn zone(name: &str) -> Zone {
    name.parse().expect("a zone")
}

/// The next so many due times.
pub(crate) fn due(calendar: &Calendar, zone: &Zone, after: Timestamp, count: usize) -> Vec<String> {
    let next = |after: &Timestamp| calendar.next(*after, zone);
    std::iter::successors(next(&after), next).take(count).map(shown).collect()
}
