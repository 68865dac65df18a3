//! Sets of days.

use serde::{Deserialize, Serialize};

use crate::civil::{Date, Weekday};
use crate::month::{Days, Month};

/// On which days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum On {
    /// On every day.
    EveryDay,
    /// On a day of every week.
    Weekday(Weekday),
    /// On a day of every month that has it: 1 is the first, -1 the last, -2 the one before.
    MonthDay(i8),
    /// On a day of every year that has it.
    YearDay {
        /// The month, from 1.
        month: u8,
        /// The day of the month, from 1.
        day: u8,
    },
    /// On a day of the week in every month, for the `nth` time in it: 1 is the first, -1 the last. Months without are left
    /// out.
    Nth {
        /// Which.
        nth: i8,
        /// The day of the week.
        weekday: Weekday,
    },
    /// On one day.
    Date(Date),
    /// On every day from the first to the last, both included.
    Span {
        /// The first.
        from: Date,
        /// The last.
        to: Date,
    },
}

impl On {
    /// The days of a month that are meant.
    pub(crate) fn in_month(&self, month: Month) -> Days {
        match *self {
            Self::EveryDay => month.all(),
            Self::Weekday(weekday) => month.on_weekdays(1 << weekday.number()),
            Self::MonthDay(day) => counted(month.length, day).map_or(0, |day| month.day(day)),
            Self::YearDay { month: of, day } => {
                if u8::try_from(month.month) == Ok(of) {
                    month.day(day.into())
                } else {
                    0
                }
            }
            Self::Nth { nth, weekday } => {
                let weekday = weekday.number().into();
                let first = month.nth(weekday, 1);
                let times = (month.last(weekday) - first) / 7 + 1;
                counted(times, nth).map_or(0, |nth| month.day(month.nth(weekday, nth)))
            }
            Self::Date(date) => span(month, date, date),
            Self::Span { from, to } => span(month, from, to),
        }
    }
}

/// The `nth` of so many, counted from 1, or from the end if it is negative.
fn counted(count: u32, nth: i8) -> Option<u32> {
    let place = u32::from(nth.unsigned_abs());
    match nth {
        0 => None,
        1.. => Some(place).filter(|place| *place <= count),
        _ => (count + 1).checked_sub(place).filter(|place| *place > 0),
    }
}

/// The days of a month from one date to another.
fn span(month: Month, from: Date, to: Date) -> Days {
    let here = (month.year, month.month);
    let place = |date: Date| ((date.day().year(), date.day().month()), u32::from(date.day().day().unsigned_abs()));
    let ((first_month, first), (last_month, last)) = (place(from), place(to));
    if here < first_month || here > last_month || from > to {
        return 0;
    }
    let mut days = month.all();
    if here == first_month {
        days &= u32::MAX << first;
    }
    if here == last_month {
        days &= u32::MAX >> (31 - last);
    }
    days
}
