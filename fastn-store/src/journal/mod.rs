//! What the stores with a database have in common: turns are gathered by run, appended to a journal, and moved to where
//! they stay when a run ends or waits.

mod draft;
mod entry;
mod fault;
mod held;
mod pieces;

#[cfg(feature = "sqlite")]
pub(crate) use self::draft::size_of;
pub(crate) use self::draft::{Change, Draft};
#[cfg(feature = "sqlite")]
pub(crate) use self::entry::Entry;
pub(crate) use self::entry::{encode, scan_row};
pub(crate) use self::fault::corrupt;
pub(crate) use self::held::RunState;
pub(crate) use self::pieces::Pieces;
