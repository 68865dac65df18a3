//! The records of a run, from the places where they are.

use fastn_core::{Record, Result};

use super::corrupt;

const OP: &str = "read history";

/// The records of a run, put together from pieces.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// The sequence number of the record that comes next, which is how many there are.
    pub(crate) next: u64,
    bytes: Vec<u8>,
}

impl Pieces {
    /// The records from this one on.
    #[cfg(feature = "postgres")]
    pub(crate) const fn after(first: u64) -> Self {
        Self { next: first, bytes: Vec::new() }
    }

    /// The sequence number of the record that comes next, and the records as they are stored.
    #[cfg(feature = "postgres")]
    pub(crate) fn into_bytes(self) -> (u64, Vec<u8>) {
        (self.next, self.bytes)
    }

    /// Adds the piece that follows. One that is there already is passed over.
    ///
    /// # Errors
    /// [`Corrupt`](fastn_core::ErrorKind::Corrupt) if something is missing before it.
    pub(crate) fn add(&mut self, first: u64, count: u64, records: &[u8]) -> Result<()> {
        let end = first.checked_add(count).ok_or_else(|| corrupt(OP, "sequence numbers overflow"))?;
        if end <= self.next {
            return Ok(());
        }
        if first != self.next {
            return Err(corrupt(
                OP,
                format!("record {} is missing: there is a piece from {first} to {end}", self.next),
            ));
        }
        self.bytes.extend_from_slice(records);
        self.next = end;
        Ok(())
    }

    /// The records.
    ///
    /// # Errors
    /// [`Corrupt`](fastn_core::ErrorKind::Corrupt) if they cannot be read or are not as many as they should be.
    pub(crate) fn records(&self) -> Result<Vec<Record>> {
        let records = Record::read_all(&self.bytes)?;
        if u64::try_from(records.len()) == Ok(self.next) {
            return Ok(records);
        }
        Err(corrupt(OP, format!("there are {} records and should be {}", records.len(), self.next)))
    }
}
