//! What queues allow: rules, and what follows from them. Pure: time comes in as an argument, and there is no chance in it.
//!
//! | room | what is there |
//! |---|---|
//! | `rules` | what a queue allows, and how that is written down |
//! | `key` | whose a run is, by its input |
//! | `pointer` | JSON Pointers |
//! | `rate` | so much in a span of time |
//! | `window` | what was taken of a rate |
//! | `turns` | whose turn it is, when keys take turns |
//! | `rank` | in which order runs of one key go |
//! | `admission` | which of the runs that wait go now |
//! | `once` | what becomes of a run that finds its place taken |
//! | `gather` | what becomes of items that are to be one run |

mod admission;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod gather;
mod key;
mod once;
mod pointer;
#[cfg(test)]
mod properties;
mod rank;
mod rate;
mod rules;
mod turns;
mod window;

pub use self::rate::{Rate, RateWindow};
pub use self::rules::{QUEUE, QueueRules};

pub(crate) use self::admission::{Admission, Head, KeyBooks, QueueBooks, Room, Step};
pub(crate) use self::gather::{Gathering, check_item, item_of};
pub(crate) use self::once::{push_back, pushed_to};
pub(crate) use self::rank::rank;
pub(crate) use self::rules::entry_key;
