//! The two fields of days.

use fastn_core::Result;

use super::field::{DAY, Field, WEEKDAY, number};
use crate::month::{Days, Month};

/// On which days an expression is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DayFields {
    of_month: OfMonth,
    of_week: OfWeek,
}

/// The field of days of the month. Bits of a set are days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfMonth {
    /// The field says nothing.
    any: bool,
    days: u32,
    /// So many days before the last: bit 0 is the last itself.
    before_last: u32,
    /// The workdays nearest to these.
    workdays: u32,
    last_workday: bool,
}

/// The field of days of the week. Bits of a set are weekdays, Sunday being 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfWeek {
    /// The field says nothing.
    any: bool,
    days: u8,
    /// The first to fifth of a month.
    nth: [u8; 5],
    last: u8,
}

impl DayFields {
    pub(super) fn parse(of_month: &str, of_week: &str) -> Result<Self> {
        Ok(Self { of_month: OfMonth::parse(of_month)?, of_week: OfWeek::parse(of_week)? })
    }

    /// The days of a month on which it is due. Where both fields say something, either is enough.
    pub(super) fn in_month(&self, month: Month) -> Days {
        match (self.of_month.any, self.of_week.any) {
            (true, true) => month.all(),
            (false, true) => self.of_month.in_month(month),
            (true, false) => self.of_week.in_month(month),
            (false, false) => self.of_month.in_month(month) | self.of_week.in_month(month),
        }
    }
}

/// Whether a field says nothing about days. `*/2` does.
fn says_nothing(text: &str) -> bool {
    matches!(text, "*" | "?" | "*/1")
}

impl OfMonth {
    fn parse(text: &str) -> Result<Self> {
        let mut found = Self { any: says_nothing(text), ..Self::default() };
        if !found.any {
            text.split(',').try_for_each(|item| found.add(item))?;
        }
        Ok(found)
    }

    fn add(&mut self, item: &str) -> Result<()> {
        if let Some(rest) = strip_start(item, 'L') {
            match rest {
                "" => self.before_last |= 1,
                "w" | "W" => self.last_workday = true,
                _ => {
                    let before = rest.strip_prefix('-').and_then(number).filter(|before| (1..=30).contains(before));
                    let before = before.ok_or_else(|| DAY.wrong(item, "behind L stands nothing, W, or -1 to -30"))?;
                    self.before_last |= 1 << before;
                }
            }
        } else if let Some(day) = strip_end(item, 'W') {
            self.workdays |= 1 << number_of(DAY, day, item)?;
        } else {
            // Its largest bit is 31.
            self.days |= u32::try_from(DAY.item(item)?).unwrap_or(0);
        }
        Ok(())
    }

    fn in_month(&self, month: Month) -> Days {
        let mut days = self.days & month.all();
        for before in bits(self.before_last) {
            days |= month.length.checked_sub(before).map_or(0, |day| month.day(day));
        }
        for day in bits(self.workdays) {
            days |= month.workday(day);
        }
        if self.last_workday {
            days |= month.workday(month.length);
        }
        days
    }
}

impl OfWeek {
    fn parse(text: &str) -> Result<Self> {
        let mut found = Self { any: says_nothing(text), ..Self::default() };
        if !found.any {
            text.split(',').try_for_each(|item| found.add(item))?;
        }
        Ok(found)
    }

    fn add(&mut self, item: &str) -> Result<()> {
        if let Some((weekday, nth)) = item.split_once('#') {
            let weekday = 1 << (WEEKDAY.value(weekday)? % 7);
            if nth.eq_ignore_ascii_case("L") {
                self.last |= weekday;
                return Ok(());
            }
            let place = number(nth).and_then(|nth| usize::try_from(nth.checked_sub(1)?).ok());
            let set = place.and_then(|place| self.nth.get_mut(place));
            *set.ok_or_else(|| WEEKDAY.wrong(item, "behind # stands 1 to 5, or L"))? |= weekday;
        } else if let Some(weekday) = strip_end(item, 'L').or_else(|| strip_start(item, 'L')) {
            self.last |= 1 << (WEEKDAY.value(weekday)? % 7);
        } else {
            // Its largest bit is 6.
            self.days |= u8::try_from(WEEKDAY.item(item)?).unwrap_or(0);
        }
        Ok(())
    }

    fn in_month(&self, month: Month) -> Days {
        let mut days = month.on_weekdays(self.days);
        for (nth, weekdays) in (1..).zip(self.nth) {
            for weekday in bits(weekdays.into()) {
                days |= month.day(month.nth(weekday, nth));
            }
        }
        for weekday in bits(self.last.into()) {
            days |= month.day(month.last(weekday));
        }
        days
    }
}

/// The numbers in a set.
fn bits(mut set: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let first = (set != 0).then(|| set.trailing_zeros());
        set &= set.wrapping_sub(1);
        first
    })
}

fn strip_start(text: &str, letter: char) -> Option<&str> {
    text.strip_prefix(letter).or_else(|| text.strip_prefix(letter.to_ascii_lowercase()))
}

fn strip_end(text: &str, letter: char) -> Option<&str> {
    text.strip_suffix(letter).or_else(|| text.strip_suffix(letter.to_ascii_lowercase()))
}

/// A value that is written as a number.
fn number_of(field: Field, text: &str, item: &str) -> Result<u32> {
    let value = number(text).filter(|value| (field.least..=field.most).contains(value));
    value.ok_or_else(|| field.wrong(item, "this is no day"))
}
