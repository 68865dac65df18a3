//! What the errors of SQLite mean to the callers of a store.

use fastn_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

pub(super) use crate::journal::corrupt;

/// Makes an error of SQLite one of ours: `map_err(fault("commit"))`.
pub(super) fn fault(op: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
    // Its text alone: SQLite's errors say the same again as their own source.
    move |error| Error::new(kind_of(&error), op).caused_by(error.to_string())
}

/// The same error once more, for each of several callers who share a failed transaction.
pub(super) fn again(error: &Error) -> Error {
    Error::new(error.kind(), "commit").caused_by(error.chain().join(": "))
}

fn kind_of(error: &rusqlite::Error) -> ErrorKind {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::ReadOnly,
        ) => ErrorKind::Unavailable,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
        Some(ErrorCode::TooBig) => ErrorKind::TooLarge,
        Some(_) => ErrorKind::Internal,
        None => match error {
            // A column that does not hold what we wrote there.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..) => ErrorKind::Corrupt,
            _ => ErrorKind::Internal,
        },
    }
}
