//! What is kept in the store's repository: JSON that says its format first.

use bytes::Bytes;
use fastn_core::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What every format of everything has.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// Reads what was kept in this format or one before.
///
/// # Errors
/// `Unsupported` if a newer build wrote it in a way that this one does not know, `Corrupt` if nobody did.
pub(super) fn read<T: DeserializeOwned>(value: &[u8], format: u32, op: &'static str) -> Result<T> {
    let corrupt = |e: serde_json::Error| Error::new(ErrorKind::Corrupt, op).caused_by(e);
    // By itself, since the rest of a newer format may be anything.
    let head: Head = serde_json::from_slice(value).map_err(corrupt)?;
    if head.format > format {
        let newer = Error::new(ErrorKind::Unsupported, op).with("format", head.format);
        return Err(newer.caused_by("it was written by a newer fastn"));
    }
    serde_json::from_slice(value).map_err(corrupt)
}

/// Writes what is to be kept.
///
/// # Errors
/// None is expected.
pub(super) fn write(kept: &impl Serialize, op: &'static str) -> Result<Bytes> {
    let written = serde_json::to_vec(kept);
    written.map(Bytes::from).map_err(|e| Error::new(ErrorKind::Internal, op).caused_by(e))
}
