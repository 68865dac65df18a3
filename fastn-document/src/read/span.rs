//! How long something takes.

use std::time::Duration;

/// Reads `10s`, `1h30m`, `250ms`, or an ISO 8601 duration of weeks, days, hours, minutes and seconds (ISO 8601-1:2019, 5.5.2.3), whose
/// last part may be a fraction. Months and years are not always as long, and so they are none.
pub fn parse_span(text: &str) -> Option<Duration> {
    match text.strip_prefix('P') {
        Some(iso) => parse_iso(iso),
        None => sum(text, |unit| match unit {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            "d" => Some(86_400_000),
            "w" => Some(604_800_000),
            _ => None,
        }),
    }
}

fn parse_iso(text: &str) -> Option<Duration> {
    let (days, time) = text.split_once('T').map_or((text, None), |(days, time)| (days, Some(time)));
    let date = |unit: &str| match unit {
        "W" => Some(604_800_000),
        "D" => Some(86_400_000),
        _ => None,
    };
    let clock = |unit: &str| match unit {
        "H" => Some(3_600_000),
        "M" => Some(60_000),
        "S" => Some(1_000),
        _ => None,
    };
    match (days, time) {
        ("", Some(time)) => sum(time, clock),
        (days, Some(time)) => sum(days, date)?.checked_add(sum(time, clock)?),
        (days, None) => sum(days, date),
    }
}

/// Numbers, each with a unit, the larger first, each unit once.
fn sum(text: &str, millis: impl Fn(&str) -> Option<u64>) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        let unit = millis(unit).filter(|unit| *unit < last)?;
        let part = match number.parse::<u64>() {
            Ok(number) => Duration::from_millis(number.checked_mul(unit)?),
            // Only the last part, which nothing smaller may follow.
            Err(_) if after.is_empty() && number.len() <= 20 && !number.starts_with('.') && !number.ends_with('.') => {
                Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit as f64 / 1_000.0).ok()?
            }
            Err(_) => return None,
        };
        total = total.checked_add(part)?;
        (last, rest) = (unit, after);
    }
    (last != u64::MAX).then_some(total)
}

/// Writes a time so that it is read as it was; `None` for what is not whole microseconds.
pub(crate) fn write_span(span: Duration) -> Option<String> {
    let millis = u64::try_from(span.as_millis()).ok()?;
    if Duration::from_millis(millis) != span {
        let text = format!("PT{}.{:09}S", span.as_secs(), span.subsec_nanos());
        return (parse_span(&text) == Some(span)).then_some(text);
    }
    let (unit, word) = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        .into_iter()
        .find(|(unit, _)| millis > 0 && millis % unit == 0)
        .unwrap_or((1, "ms"));
    Some(format!("{}{word}", millis / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_two_ways_and_read_as_one() {
        let millis = |text| parse_span(text).map(|span| span.as_millis());
        for (text, expected) in [
            ("10s", 10_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("2d", 172_800_000),
            ("1.5s", 1_500),
            ("PT10S", 10_000),
            ("P1DT2H", 93_600_000),
            ("P1W", 604_800_000),
            ("PT0.25S", 250),
            ("PT0S", 0),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "10",
            "s",
            "P",
            "PT",
            "P1M",
            "P1Y",
            "1m1h",
            "1s1s",
            "1.5h3m",
            "-1s",
            "99999999999999999999d",
            "1.s",
            "10 s",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for millis in [0, 1, 250, 1_000, 60_000, 90_000, 5_400_000, 86_400_000, u64::MAX / 1_000_000] {
            let span = Duration::from_millis(millis);
            assert_eq!(parse_span(&write_span(span).expect("whole milliseconds")), Some(span));
        }
        assert_eq!(write_span(Duration::from_micros(1_500)).as_deref(), Some("PT0.001500000S"));
    }
}
