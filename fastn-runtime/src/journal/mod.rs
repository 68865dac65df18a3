//! The journal all runs of an executor share: it commits what has gathered while the previous commit ran.
//!
//! No wait is added when nothing else is going on, and under load the groups grow by themselves. A write is acknowledged
//! when the commit that holds it is durable, never before.
//!
//! | room | what is in it |
//! |---|---|
//! | `writer` | the journal: what is queued where, and what commits it |
//! | `lane` | a queue whose commits follow each other; there are as many as the store makes good use of |
//! | `group` | writes that are committed together |
//! | `ticket` | what becomes of a write |

mod group;
mod lane;
mod ticket;
mod writer;

pub(crate) use self::ticket::{Durable, Ticket};
pub(crate) use self::writer::Journal;
