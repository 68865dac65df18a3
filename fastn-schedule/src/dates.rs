//! Dates and times of day, with exceptions.

use fastn_core::{Error, ErrorKind, Result, Timestamp};
use jiff::civil;
use serde::{Deserialize, Serialize};

use crate::civil::TimeOfDay;
use crate::local::{self, Pattern};
use crate::month::{Days, Month};
use crate::on::On;
use crate::zone::Zone;

/// How many sets of days and times of day there may be in one calendar, rules and exceptions together.
const MOST: usize = 2_000;

/// Due by rules of days and times of day, but never on an exception.
///
/// ```
/// use fastn_core::Timestamp;
/// use fastn_schedule::{Dates, On, Rule, Weekday, Zone};
///
/// // At noon on the last day of every month, and on one date more, but not on New Year's Eve.
/// let dates = Dates::new(
///     vec![Rule::new([On::MonthDay(-1)], ["12:00".parse()?]), Rule::new([On::Date("2026-12-01".parse()?)], ["08:30".parse()?])],
///     vec![On::YearDay { month: 12, day: 31 }],
/// )?;
/// let mut now = Timestamp::from_millis(1_795_170_600_000); // 20 November 2026
/// let mut due = Vec::new();
/// while let Some(next) = dates.next(now, &Zone::utc()).filter(|_| due.len() < 3) {
///     due.push(next.to_string());
///     now = next;
/// }
/// assert_eq!(due, ["2026-11-30T12:00:00.000Z", "2026-12-01T08:30:00.000Z", "2027-01-31T12:00:00.000Z"]);
/// # Ok::<(), fastn_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Dates {
    rules: Vec<Rule>,
    except: Vec<On>,
}

/// Due on some days at some times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// On which days; in any of these sets.
    on: Vec<On>,
    /// At which times of those days, in order.
    at: Vec<TimeOfDay>,
}

/// As it is stored, before it is checked.
#[derive(Serialize, Deserialize)]
struct Parts {
    rules: Vec<Rule>,
    #[serde(default)]
    except: Vec<On>,
}

impl Rule {
    /// Due on the days of any of these sets, at each of these times.
    pub fn new(on: impl IntoIterator<Item = On>, at: impl IntoIterator<Item = TimeOfDay>) -> Self {
        Self { on: on.into_iter().collect(), at: at.into_iter().collect() }
    }

    fn days(&self, month: Month) -> Days {
        self.on.iter().fold(0, |days, on| days | on.in_month(month))
    }
}

impl Dates {
    /// Due by any of these rules, except on these days.
    ///
    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge) if it says more than two thousand things.
    pub fn new(rules: Vec<Rule>, except: Vec<On>) -> Result<Self> {
        let said = rules.iter().map(|rule| 1 + rule.on.len() + rule.at.len()).sum::<usize>() + except.len();
        if said > MOST {
            return Err(Error::new(ErrorKind::TooLarge, "make calendar").with("parts", said).with("most", MOST));
        }
        Ok(Self { rules, except })
    }

    /// When it is next due after a moment; `None` if never again.
    pub fn next(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        local::next(self, after, zone)
    }

    fn excepted(&self, month: Month) -> Days {
        self.except.iter().fold(0, |days, on| days | on.in_month(month))
    }
}

impl Pattern for Dates {
    fn days(&self, month: Month) -> Days {
        let wanted = self.rules.iter().filter(|rule| !rule.at.is_empty()).fold(0, |days, rule| days | rule.days(month));
        // Months in which nothing is wanted need no exceptions.
        if wanted == 0 { 0 } else { wanted & !self.excepted(month) }
    }

    fn time(&self, date: civil::Date, from: civil::Time) -> Option<civil::Time> {
        let (month, day) = (Month::of(date), 1 << u32::from(date.day().unsigned_abs()));
        let rules = self.rules.iter().filter(|rule| rule.days(month) & day != 0);
        rules.flat_map(|rule| &rule.at).map(|at| at.time()).filter(|at| *at >= from).min()
    }

    fn goes_by_the_clock(&self) -> bool {
        false
    }
}

impl TryFrom<Parts> for Dates {
    type Error = Error;

    fn try_from(Parts { rules, except }: Parts) -> Result<Self> {
        Self::new(rules, except)
    }
}

impl From<Dates> for Parts {
    fn from(Dates { rules, except }: Dates) -> Self {
        Self { rules, except }
    }
}
