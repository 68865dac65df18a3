//! What the errors of Postgres mean to the callers of a store.

use std::error::Error as _;
use std::fmt;

use deadpool_postgres::PoolError;
use fastn_core::{Error, ErrorKind};
use tokio_postgres::error::{DbError, Severity, SqlState};

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
    // A session that ends with its error, and a server that ends with it, may have committed before.
    error
        .as_db_error()
        .is_some_and(|said| said.parsed_severity() == Some(Severity::Error) && did_nothing(said.code().code()))
}

/// Whether an error with this SQLSTATE is only ever told where nothing was committed.
fn did_nothing(code: &str) -> bool {
    // A server that is going down may say so after it has committed, as whoever has lost a connection may; and the last says
    // of itself that it is not known.
    !code.starts_with("57P") && !code.starts_with("08") && code != "40003"
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
    error.code().is_some_and(|code| is_of_plan(code.code()))
}

/// Whether an error with this SQLSTATE is one of a prepared statement: its result is another than when it was prepared, or it
/// is not known.
fn is_of_plan(code: &str) -> bool {
    matches!(code, "0A000" | "26000")
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
    // The same code as for what is too large, and no write is to blame: somebody listens and does not hear.
    let notifies = |routine: &str| routine.contains("Notify") || routine.contains("async");
    if code == &SqlState::PROGRAM_LIMIT_EXCEEDED && error.as_db_error().and_then(DbError::routine).is_some_and(notifies)
    {
        return ErrorKind::Unavailable;
    }
    kind_of_state(code.code())
}

/// What an SQLSTATE means to callers, whichever library brought it.
pub(super) fn kind_of_state(code: &str) -> ErrorKind {
    if let Some(kind) = raised(code) {
        return kind;
    }
    if is_of_plan(code) {
        return ErrorKind::Unavailable;
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
        (_, "XX001" | "XX002") => ErrorKind::Corrupt,
        // What a server, or what stands before it, says that it cannot make sense of just now.
        ("XX", _) => ErrorKind::Unavailable,
        // What a host's user may not do.
        (_, "42501") => ErrorKind::Invalid,
        _ => ErrorKind::Internal,
    }
}

/// What our own functions raise.
fn raised(code: &str) -> Option<ErrorKind> {
    match code {
        "FN001" | "FN005" => Some(ErrorKind::Fenced),
        "FN002" => Some(ErrorKind::Conflict),
        "FN003" => Some(ErrorKind::NotFound),
        "FN004" => Some(ErrorKind::Invalid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an SQLSTATE means: to callers, whether nothing was done, and whether it is one of a prepared statement.
    fn meaning(code: &str) -> (ErrorKind, bool, bool) {
        (kind_of_state(code), did_nothing(code), is_of_plan(code))
    }

    #[test]
    fn what_passes_by_itself_and_did_nothing() {
        for code in [
            // Serialisation, deadlock, too many connections, no memory, no disk, input and output.
            "40001", "40P01", "53000", "53100", "53200", "53300", "58000", "58030",
            // A statement that took too long, a lock that was not to be had, a server that takes no writes.
            "57014", "55P03", "25006",
            // Transactions of a process that was held up: `idle_in_transaction_session_timeout`, `transaction_timeout`.
            "25P03", "25P04", // A row for which there is no partition yet.
            "23514", // What neither the server nor a proxy before it understands of itself.
            "XX000",
        ] {
            assert_eq!(meaning(code), (ErrorKind::Unavailable, true, false), "{code}");
        }
    }

    #[test]
    fn what_passes_by_itself_and_may_have_been_done() {
        for code in
            ["08000", "08001", "08003", "08004", "08006", "08007", "08P01", "40003", "57P01", "57P02", "57P03", "57P05"]
        {
            assert_eq!(meaning(code), (ErrorKind::Unavailable, false, false), "{code}");
        }
    }

    #[test]
    fn what_passes_when_a_statement_is_prepared_again() {
        for code in ["0A000", "26000"] {
            assert_eq!(meaning(code), (ErrorKind::Unavailable, true, true), "{code}");
        }
    }

    #[test]
    fn what_stays_as_it_is_however_often_it_is_tried() {
        for (code, kind) in [
            ("FN001", ErrorKind::Fenced),
            ("FN005", ErrorKind::Fenced),
            ("FN002", ErrorKind::Conflict),
            ("FN003", ErrorKind::NotFound),
            ("FN004", ErrorKind::Invalid),
            // A wrong password, a user without rights, no such database.
            ("28P01", ErrorKind::Invalid),
            ("28000", ErrorKind::Invalid),
            ("42501", ErrorKind::Invalid),
            ("3D000", ErrorKind::NotFound),
            ("54000", ErrorKind::TooLarge),
            ("XX001", ErrorKind::Corrupt),
            ("XX002", ErrorKind::Corrupt),
            // Mistakes of ours: a transaction that has failed, a statement that is none, a value that is none, a row twice.
            ("25P02", ErrorKind::Internal),
            ("42601", ErrorKind::Internal),
            ("42883", ErrorKind::Internal),
            ("22P02", ErrorKind::Internal),
            ("23505", ErrorKind::Internal),
            ("", ErrorKind::Internal),
        ] {
            assert_eq!(meaning(code), (kind, true, false), "{code}");
            assert!(!kind.is_transient(), "{code}");
        }
    }
}
