//! The journal all runs of an executor share: it commits what has gathered while the previous commit ran.
//!
//! No wait is added when nothing else is going on, and under load the groups grow by themselves. A write is acknowledged
//! when the commit that holds it is durable, never before.

mod group;
mod ticket;
mod writer;

pub(crate) use self::ticket::Ticket;
pub(crate) use self::writer::Journal;
