//! A door to the entries of the audit, for fastn-fuzz.

use bytes::Bytes;
use fastn_core::Result;

use super::ledger::Line;

/// An entry as it would be written.
///
/// # Errors
/// `Unsupported` or `Corrupt`, if it is none that this build knows.
pub fn audit_line(value: &[u8]) -> Result<Bytes> {
    Line::read(value)?.write()
}
