//! Doors to what an engine reads from its store, for fastn-fuzz.

use bytes::Bytes;
use fastn_core::Result;

use super::command::Command;

pub use super::letters::fuzzing::dead_letter_mark;
pub use super::steer::fuzzing::audit_line;

pub use super::schedules::fuzzing::{KeptSchedule, kept_schedule, write_schedule};

/// What a message tells a run, as it would be written.
///
/// # Errors
/// `Unsupported` or `Corrupt`, if this build does not know what it means.
pub fn message(body: &[u8]) -> Result<Bytes> {
    Command::decode(body)?.encode()
}
