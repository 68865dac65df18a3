//! Fields whose values are numbers.

use fastn_core::{Error, ErrorKind, Result};

/// What a field of an expression is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) least: u32,
    pub(super) most: u32,
    /// Names of values, the first of the least one.
    names: &'static [&'static str],
    /// Whether the most is the least once more: Sunday.
    round: bool,
}

pub(super) const SECOND: Field = Field { name: "second", least: 0, most: 59, names: &[], round: false };
pub(super) const MINUTE: Field = Field { name: "minute", ..SECOND };
pub(super) const HOUR: Field = Field { name: "hour", most: 23, ..SECOND };
pub(super) const DAY: Field = Field { name: "day of month", least: 1, most: 31, ..SECOND };
pub(super) const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    round: false,
};
pub(super) const WEEKDAY: Field = Field {
    name: "day of week",
    least: 0,
    most: 7,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    round: true,
};

impl Field {
    /// An error about this field.
    pub(super) fn wrong(self, text: &str, why: &'static str) -> Error {
        let shown: String = text.chars().take(32).collect();
        Error::new(ErrorKind::Invalid, "read cron expression")
            .with("field", self.name)
            .with("text", format!("{shown:?}"))
            .caused_by(why)
    }

    /// A number or a name.
    pub(super) fn value(self, text: &str) -> Result<u32> {
        if let Some(place) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Ok(self.least + u32::try_from(place).unwrap_or(0));
        }
        let value = number(text).ok_or_else(|| self.wrong(text, "this is no value"))?;
        if (self.least..=self.most).contains(&value) {
            Ok(value)
        } else {
            Err(self.wrong(text, "this is out of range"))
        }
    }

    /// The values that an item of a list stands for, as bits: `*`, `7`, `1-5`, each with or without `/2`. From a larger
    /// to a smaller value it goes round.
    pub(super) fn item(self, text: &str) -> Result<u64> {
        let (values, step) = match text.split_once('/') {
            None => (text, None),
            Some((values, step)) => {
                let step = number(step).filter(|step| *step > 0);
                (values, Some(step.ok_or_else(|| self.wrong(text, "a step is a number from 1 on"))?))
            }
        };
        let (first, last) = if values == "*" {
            (self.least, self.most)
        } else if let Some((first, last)) = values.split_once('-') {
            self.ends(self.value(first)?, self.value(last)?)
        } else {
            let value = self.value(values)?;
            (value, if step.is_some() { self.most } else { value })
        };
        Ok(self.every(step.unwrap_or(1), first, last))
    }

    /// The ends of a range; the last of one that goes round is that many values further on.
    fn ends(self, first: u32, last: u32) -> (u32, u32) {
        if first <= last {
            (first, last)
        } else if self.round && first == self.most {
            (self.least, last)
        } else {
            (first, last + self.count())
        }
    }

    /// How many values there are.
    const fn count(self) -> u32 {
        self.most - self.least + if self.round { 0 } else { 1 }
    }

    fn every(self, step: u32, first: u32, last: u32) -> u64 {
        let mut bits = 0;
        let mut value = first;
        while value <= last {
            bits |= 1 << (self.least + (value - self.least) % self.count());
            value = value.saturating_add(step);
        }
        bits
    }

    /// Every value there is.
    pub(super) fn all(self) -> u64 {
        self.every(1, self.least, self.most)
    }

    /// The values of a list.
    pub(super) fn list(self, text: &str) -> Result<u64> {
        text.split(',').try_fold(0, |bits, item| Ok(bits | self.item(item)?))
    }
}

/// A number of at most four digits.
pub(super) fn number(text: &str) -> Option<u32> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(field: Field, text: &str, expected: &[u32]) {
        let bits = field.list(text).map_err(|error| error.chain().join(": "));
        assert_eq!(bits, Ok(expected.iter().fold(0, |bits, value| bits | 1 << value)), "{text}");
    }

    #[test]
    fn lists_ranges_and_steps_stand_for_values() {
        check(MINUTE, "5", &[5]);
        check(MINUTE, "5,7,7", &[5, 7]);
        check(MINUTE, "5-8", &[5, 6, 7, 8]);
        check(MINUTE, "*/20", &[0, 20, 40]);
        check(MINUTE, "*/100", &[0]);
        check(MINUTE, "5/20", &[5, 25, 45]);
        check(MINUTE, "50-59/4,007", &[7, 50, 54, 58]);
        check(DAY, "*/10", &[1, 11, 21, 31]);
        check(MONTH, "jan,Mar-may,12", &[1, 3, 4, 5, 12]);
    }

    #[test]
    fn ranges_go_round() {
        check(HOUR, "22-2", &[0, 1, 2, 22, 23]);
        check(HOUR, "22-5/3", &[1, 4, 22]);
        check(DAY, "30-2", &[1, 2, 30, 31]);
        check(MONTH, "NOV-FEB", &[1, 2, 11, 12]);
        check(MINUTE, "59-0", &[0, 59]);
    }

    #[test]
    fn sunday_is_both_the_first_and_the_last_day_of_a_week() {
        check(WEEKDAY, "7", &[0]);
        check(WEEKDAY, "0-7", &[0, 1, 2, 3, 4, 5, 6]);
        check(WEEKDAY, "5-7", &[0, 5, 6]);
        check(WEEKDAY, "7-2", &[0, 1, 2]);
        check(WEEKDAY, "FRI-MON", &[0, 1, 5, 6]);
        check(WEEKDAY, "sat-sun", &[0, 6]);
        check(WEEKDAY, "*/2", &[0, 2, 4, 6]);
        check(WEEKDAY, "1/2", &[0, 1, 3, 5]);
        check(WEEKDAY, "7/3", &[0]);
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for text in
            ["", ",", "1,", "60", "-1", "1-", "1-2-3", "1/0", "1/", "/2", "*-5", "1//2", "+1", "12345", "1 ", "٣", "*1"]
        {
            assert!(MINUTE.list(text).is_err(), "{text:?}");
        }
        assert!(WEEKDAY.list("8").is_err() && DAY.list("0").is_err() && MONTH.list("13").is_err());
        assert!(MINUTE.list("JAN").is_err() && MONTH.list("MON").is_err() && MONTH.list("JANUARY").is_err());
    }
}
