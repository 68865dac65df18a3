//! Dead letters: runs that failed for good, and what could not be told to any.
//!
//! | room | what is there |
//! |---|---|
//! | `query` | which letters |
//! | `letter`, `fate` | what hosts are told of one, and what became of it |
//! | `mark` | what became of one, as it is kept in the store's repository |
//! | `find` | looking through the runs |
//! | `retry` | starting one once more |
//! | `dead_letters` | what hosts call |
//! | `dead_events` | what hosts call for those |
//!
//! A letter is nothing beside its run: whatever ended as failed or stuck is one. Only what became of it is kept, once
//! somebody has retried or dismissed it.

mod dead_events;
mod dead_letters;
mod fate;
mod find;
#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing;
mod letter;
mod mark;
mod query;
mod retry;

pub use dead_events::{EventMark, EventPage, EventQuery, ToldAgain};
pub use dead_letters::DeadLetters;

pub use fate::{Dismissal, Retrial};
pub use letter::{DeadLetter, DismissedAll, LetterPage, RetriedAll};
pub use query::LetterQuery;
pub use retry::LetterRetry;
