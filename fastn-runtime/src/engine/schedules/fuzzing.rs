//! A door to schedules as they are kept, for fastn-fuzz.

use bytes::Bytes;
use fastn_core::{EntryName, Error, ErrorKind, Result, TenantId, Timestamp};
use fastn_store::EntryKey;

use super::due::{Next, next};
use super::spec::Schedule;
use super::stored::{Stored, kind};

/// A schedule that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptSchedule {
    /// As it would be written.
    pub written: Bytes,
    /// As hosts see it.
    pub said: Schedule,
    /// The due time that is to be fired at the time that was asked about, and what its run is given.
    pub due: Option<(Timestamp, Bytes)>,
}

/// Reads a schedule, and looks what is due at a time.
///
/// # Errors
/// `Unsupported` or `Corrupt`, if it is none that this build knows.
pub fn kept_schedule(value: &[u8], now: Timestamp) -> Result<KeptSchedule> {
    let stored = Stored::read(value)?;
    let wrong = |e| Error::new(ErrorKind::Internal, "name schedule").caused_by(e);
    let key = EntryKey { kind: kind()?, tenant: TenantId::default(), name: EntryName::new("kept").map_err(wrong)? };
    let due = match next(&key, &stored, now) {
        Next::Due(due) => Some((due, stored.payload(due)?.bytes().clone())),
        Next::At(_) | Next::Never => None,
    };
    Ok(KeptSchedule { written: stored.write()?, said: stored.said(&key), due })
}

/// Writes a schedule anew.
///
/// # Errors
/// None is expected.
pub fn write_schedule(schedule: &Schedule) -> Result<Bytes> {
    Stored::new(schedule, 1, Timestamp::EPOCH).write()
}
