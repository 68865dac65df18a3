//! When something is due.
//!
//! A [`Calendar`] is a [`Cron`] expression, an [`Interval`] or [`Dates`]; with a [`Zone`] it says when it is next due after
//! any moment. All of it is pure: the present time is an argument, and the rules of the time zones are built in, so that
//! every executor of one build finds the same due times, whatever its machine has installed.
//!
//! ```
//! use fastn_core::Timestamp;
//! use fastn_schedule::{Calendar, Zone};
//!
//! let every_workday = Calendar::cron("30 9 * * MON-FRI")?;
//! let berlin: Zone = "Europe/Berlin".parse()?;
//! // Friday, 20 November 2026, 9:30 in Berlin is past; next is Monday.
//! let now = Timestamp::from_millis(1_795_170_600_000);
//! let next = every_workday.next(now, &berlin).map(|due| due.to_string());
//! assert_eq!(next.as_deref(), Some("2026-11-23T08:30:00.000Z"));
//! # Ok::<(), fastn_core::Error>(())
//! ```
//!
//! # When clocks are changed
//!
//! Where a zone sets its clocks forward, some times of day do not exist on that day; where it sets them back, some exist
//! twice. What happens then depends on what the calendar says, as in the cron of Vixie and Debian:
//!
//! | the calendar | a time that does not exist | a time that exists twice |
//! |---|---|---|
//! | names its times of day (`30 2 * * *`, `0 1,2,3 * * *`, all of [`Dates`]) | is due at the moment the clocks are set forward; several such times fall together and are due once | is due the first time only |
//! | goes by the clock: minute or hour begins with `*` or is every one there is (`*/15 * * * *`, `30 * * * *`, `0 */2 * * *`) | is passed over | is due both times |
//! | an [`Interval`] | does not look at clocks | does not look at clocks |
//!
//! So nothing that is due once a day is left out or done twice, and what is due every so many minutes stays so. In Berlin
//! clocks went from 2:00 to 3:00 on 29 March 2026 and from 3:00 back to 2:00 on 25 October 2026:
//!
//! | expression | due on 29 March | due on 25 October |
//! |---|---|---|
//! | `30 2 * * *` | 3:00 | 2:30, the first |
//! | `0,30 2 * * *` | 3:00 | 2:00 and 2:30, the first of each |
//! | `*/30 2 * * *` | not at all | 2:00, 2:30, 2:00, 2:30 |
//! | `30 * * * *` | 1:30, 3:30 | 1:30, 2:30, 2:30, 3:30 |
//!
//! The field of seconds has no say in it: `0 30 2 * * *` is due when `30 2 * * *` is.

mod calendar;
mod civil;
mod cron;
mod dates;
mod interval;
mod local;
mod month;
mod on;
mod zone;

pub use crate::calendar::Calendar;
pub use crate::civil::{Date, TimeOfDay, Weekday};
pub use crate::cron::Cron;
pub use crate::dates::{Dates, Rule};
pub use crate::interval::Interval;
pub use crate::on::On;
pub use crate::zone::Zone;
