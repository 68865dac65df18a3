//! Doors to the URLs of Redis and to what it gives back, for fastn-fuzz.

use super::coded::Coded;
use super::place::Place;
use super::sealed::{open, seal};
use crate::{Entry, History, Page, RunSummary};

/// What the URL of a Redis names, for people; or what an error tells.
///
/// # Errors
/// The words of the error and of its causes.
pub fn redis_url(url: &str) -> Result<String, String> {
    Place::parse(url).map(|place| place.to_string()).map_err(|error| error.chain().join(": "))
}

/// Reads an answer of one of six sorts; gives it as it would be written. `None` if it is none.
pub fn cached(sort: u8, bytes: &[u8]) -> Option<Vec<u8>> {
    match sort % 6 {
        0 => RunSummary::read(bytes)?.write(),
        1 => History::read(bytes)?.write(),
        2 => Page::read(bytes)?.write(),
        3 => Entry::read(bytes)?.write(),
        4 => Vec::<Entry>::read(bytes)?.write(),
        _ => String::read(bytes)?.write(),
    }
}

/// The time and the answer in a value, if it is ours.
pub fn opened(secret: &[u8; 32], key: &str, value: &[u8]) -> Option<(i64, Vec<u8>)> {
    open(secret, key, value).map(|(time, answer)| (time, answer.to_vec()))
}

/// A value with this answer.
pub fn sealed(secret: &[u8; 32], key: &str, asked_at: i64, answer: &[u8]) -> Vec<u8> {
    seal(secret, key, asked_at, answer)
}
