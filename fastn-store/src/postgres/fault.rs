//! What the errors of Postgres mean to the callers of a store.

use std::error::Error as _;
use std::fmt;

use deadpool_postgres::PoolError;
use fastn_core::{Error, ErrorKind};
use tokio_postgres::error::SqlState;

pub(super) use crate::journal::corrupt;
use crate::standing::closed;

/// Makes an error of Postgres one of ours: `map_err(fault("commit"))`.
pub(super) fn fault(op: &'static str) -> impl Fn(tokio_postgres::Error) -> Error {
    move |error| {
        // Its text alone: what the server said is its source, and is told in the same line.
        let text = error.source().map_or_else(|| error.to_string(), |why| format!("{error}: {why}"));
        let told = Error::new(kind_of(&error), op);
        if is_stale_plan(&error) {
            return told.caused_by(StalePlan(text));
        }
        match error.code() {
            Some(code) => told.with("sqlstate", code.code()).caused_by(text),
            None => told.caused_by(text),
        }
    }
}

/// Makes an error of the pool one of ours.
pub(super) fn pool_fault(op: &'static str) -> impl Fn(PoolError) -> Error {
    move |error| match error {
        PoolError::Backend(error) => fault(op)(error),
        PoolError::Closed => closed(),
        PoolError::Timeout(_) => Error::new(ErrorKind::Unavailable, op).caused_by("all connections are in use"),
        other => Error::new(ErrorKind::Unavailable, op).caused_by(other.to_string()),
    }
}

/// Whether the server itself said that it did nothing: otherwise nobody knows.
pub(super) fn is_refusal(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|said| {
        // A server that is going down may say so after it has committed.
        !said.code().code().starts_with("57P") && !said.code().code().starts_with("08")
    })
}

/// A prepared statement no longer fits. The server's words.
#[derive(Debug)]
struct StalePlan(String);

impl fmt::Display for StalePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StalePlan {}

/// Whether an error of ours is that a prepared statement no longer fits.
pub(super) fn is_of_stale_plan(error: &Error) -> bool {
    let mut next = error.source();
    while let Some(why) = next {
        if why.is::<StalePlan>() {
            return true;
        }
        next = why.source();
    }
    false
}

/// Whether a prepared statement no longer fits: after a change of the schema, or another server behind the same name.
pub(super) fn is_stale_plan(error: &tokio_postgres::Error) -> bool {
    matches!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED | &SqlState::INVALID_SQL_STATEMENT_NAME))
        || error.code() == Some(&SqlState::UNDEFINED_PSTATEMENT)
}

/// By SQLSTATE (PostgreSQL, appendix A).
fn kind_of(error: &tokio_postgres::Error) -> ErrorKind {
    let Some(code) = error.code() else {
        // It never came to the server, or its answer never came back; or one of us misread a column.
        let ours = error.source().is_some_and(|why| {
            why.is::<tokio_postgres::types::WrongType>() || why.is::<tokio_postgres::types::WasNull>()
        });
        return if ours { ErrorKind::Corrupt } else { ErrorKind::Unavailable };
    };
    if is_stale_plan(error) { ErrorKind::Unavailable } else { kind_of_state(code.code()) }
}

/// What an SQLSTATE means to callers, whichever library brought it.
pub(super) fn kind_of_state(code: &str) -> ErrorKind {
    if let Some(kind) = raised(code) {
        return kind;
    }
    let (class, _) = code.split_at_checked(2).unwrap_or(("", ""));
    match (class, code) {
        // Wrong password or user: waiting does not help.
        ("28", _) => ErrorKind::Invalid,
        // There is no such database.
        (_, "3D000") => ErrorKind::NotFound,
        // There is no partition for a row: it will be made.
        (_, "23514") => ErrorKind::Unavailable,
        // Connection lost, resources exhausted, operator's intervention, input and output, serialisation, deadlock, a lock
        // that was not to be had, a standby that does not write, a transaction that was idle or open for too long because
        // this process was held up.
        ("08" | "53" | "57" | "58" | "40", _) | (_, "55P03" | "25006" | "25P03" | "25P04") => ErrorKind::Unavailable,
        ("54", _) => ErrorKind::TooLarge,
        ("XX", _) => ErrorKind::Corrupt,
        // What a host's user may not do.
        (_, "42501") => ErrorKind::Invalid,
        _ => ErrorKind::Internal,
    }
}

/// What our own functions raise.
fn raised(code: &str) -> Option<ErrorKind> {
    match code {
        "FN001" => Some(ErrorKind::Fenced),
        "FN002" => Some(ErrorKind::Conflict),
        "FN003" => Some(ErrorKind::NotFound),
        "FN004" => Some(ErrorKind::Invalid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        // Transactions of a process that was held up: `idle_in_transaction_session_timeout` and `transaction_timeout`.
        for passes in ["08006", "53300", "57P01", "40001", "55P03", "25006", "25P03", "25P04"] {
            assert_eq!(kind_of_state(passes), ErrorKind::Unavailable, "{passes}");
        }
        for stays in ["25P02", "42601", "22P02", ""] {
            assert_eq!(kind_of_state(stays), ErrorKind::Internal, "{stays}");
        }
    }
}
