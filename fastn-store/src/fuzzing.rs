//! Doors to private parsers, for fastn-fuzz. No part of the interface: they come and go.

use std::error::Error as _;

pub use crate::cache::fuzzing::{cached, opened, redis_url, sealed};
pub use crate::postgres::fuzzing::postgres_url;
pub use crate::queue::fuzzing::{admitted, listed};
pub use crate::sqlite::fuzzing::{Entry, journal_entries, put_together, write_journal_entries};
use crate::url::Place;

/// What the URL of a store names, written in one way; or what an error tells.
///
/// # Errors
/// The words of the error and of its cause.
pub fn store_url(url: &str) -> Result<String, String> {
    match Place::parse(url) {
        Ok(Place::Memory) => Ok("memory:".to_owned()),
        Ok(Place::Sqlite { path, normal }) => {
            Ok(format!("sqlite://{path}?synchronous={}", if normal { "normal" } else { "full" }))
        }
        Ok(Place::Postgres) => Ok("postgres:".to_owned()),
        Err(error) => Err(format!("{error} {}", error.source().map(ToString::to_string).unwrap_or_default())),
    }
}
