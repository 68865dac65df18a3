//! Stored data that cannot be read.

use fastn_core::{Error, ErrorKind};

/// The error of stored data that makes no sense.
pub(crate) fn corrupt(op: &'static str, why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, op).caused_by(why.into())
}
