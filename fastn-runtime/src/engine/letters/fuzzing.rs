//! A door to the marks of dead letters, for fastn-fuzz.

use bytes::Bytes;
use fastn_core::{Result, RunId, Timestamp};

use super::mark::Mark;

/// A mark as it would be written, and as it would be written after one more retry and a dismissal.
///
/// # Errors
/// `Unsupported` or `Corrupt`, if it is none that this build knows.
pub fn dead_letter_mark(value: &[u8]) -> Result<(Bytes, Bytes)> {
    let mut mark = Mark::read(value)?;
    let written = mark.write()?;
    mark.retry(mark.retries.saturating_add(1), RunId::from_bytes([7; 16]), Timestamp::MAX);
    mark.dismiss("somebody", "it needs nothing more", Timestamp::EPOCH);
    Ok((written, mark.write()?))
}
