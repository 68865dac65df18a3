//! A month, and sets of its days.

use jiff::civil::Date;

/// A set of days: bit `n` is the day `n` of the month.
pub(crate) type Days = u32;

/// A month of a year.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Month {
    pub(crate) year: i16,
    pub(crate) month: i8,
    /// How many days it has.
    pub(crate) length: u32,
    /// The weekday of its first day, Sunday being 0.
    first: u32,
}

impl Month {
    /// The month of a date.
    pub(crate) fn of(date: Date) -> Self {
        let first = date.first_of_month().weekday().to_sunday_zero_offset();
        Self {
            year: date.year(),
            month: date.month(),
            length: u32::from(date.days_in_month().unsigned_abs()),
            first: u32::from(first.unsigned_abs()),
        }
    }

    /// All its days.
    pub(crate) const fn all(self) -> Days {
        // 2^(length + 1) - 1 without the bit 0.
        (u32::MAX >> (31 - self.length)) & !1
    }

    /// The weekday of a day, Sunday being 0.
    pub(crate) const fn weekday(self, day: u32) -> u32 {
        (self.first + day + 6) % 7
    }

    /// The days on these weekdays: bit 0 is Sunday.
    pub(crate) fn on_weekdays(self, weekdays: u8) -> Days {
        (0..7).filter(|weekday| weekdays & (1 << weekday) != 0).fold(0, |days, weekday| days | self.each(weekday))
    }

    /// The days on a weekday.
    fn each(self, weekday: u32) -> Days {
        // Bits 1, 8, 15, 22 and 29, moved to the first such day.
        let first = self.nth(weekday, 1);
        (0x2040_8102 << (first - 1)) & self.all()
    }

    /// The day on which a weekday is for the `nth` time, whether or not the month is that long.
    pub(crate) const fn nth(self, weekday: u32, nth: u32) -> u32 {
        1 + (weekday + 7 - self.first) % 7 + (nth - 1) * 7
    }

    /// The day on which a weekday is for the last time.
    pub(crate) const fn last(self, weekday: u32) -> u32 {
        self.length - (self.weekday(self.length) + 7 - weekday) % 7
    }

    /// A set of one day; empty if the month has no such day.
    pub(crate) const fn day(self, day: u32) -> Days {
        if day >= 1 && day <= self.length { 1 << day } else { 0 }
    }

    /// The workday, Monday to Friday, that is nearest to a day without leaving the month; none if the month has no such
    /// day.
    pub(crate) const fn workday(self, day: u32) -> Days {
        if self.day(day) == 0 {
            return 0;
        }
        match self.weekday(day) {
            6 if day == 1 => self.day(3),
            6 => self.day(day - 1),
            0 if day == self.length => self.day(day - 2),
            0 => self.day(day + 1),
            _ => self.day(day),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// November 2026 begins on a Sunday and ends on a Monday.
    fn november() -> Month {
        Month::of(Date::constant(2026, 11, 20))
    }

    #[test]
    fn days_are_found_by_their_weekday() {
        let month = november();
        assert_eq!((month.length, month.all().count_ones()), (30, 30));
        assert_eq!([1, 2, 20, 30].map(|day| month.weekday(day)), [0, 1, 5, 1]);
        assert_eq!(month.on_weekdays(1 << 0), [1, 8, 15, 22, 29].iter().fold(0, |days, day| days | 1 << day));
        assert_eq!(month.on_weekdays(1 << 6), [7, 14, 21, 28].iter().fold(0, |days, day| days | 1 << day));
        assert_eq!((month.nth(5, 1), month.nth(5, 3), month.nth(0, 5)), (6, 20, 29));
        assert_eq!([0, 1, 2, 6].map(|weekday| month.last(weekday)), [29, 30, 24, 28]);
    }

    #[test]
    fn the_nearest_workday_stays_in_its_month() {
        let month = november();
        let nearest = |day| month.workday(day).trailing_zeros();
        assert_eq!([1, 7, 8, 20, 28, 29, 30].map(nearest), [2, 6, 9, 20, 27, 30, 30]);
        assert_eq!(month.workday(31), 0);
        let august = Month::of(Date::constant(2026, 8, 1));
        assert_eq!((august.workday(1).trailing_zeros(), august.workday(31).trailing_zeros()), (3, 31));
        let may = Month::of(Date::constant(2026, 5, 1));
        assert_eq!(may.workday(31).trailing_zeros(), 29);
    }
}
