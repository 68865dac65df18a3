//! Doors to the journal's parser, for fastn-fuzz.

use bytes::Bytes;
use fastn_core::{Record, Result};

use crate::RunNo;
use crate::journal::{Pieces, encode, scan_row};

/// A turn in a row of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The run.
    pub run: RunNo,
    /// The sequence number of its first record.
    pub first: u64,
    /// How many records it has.
    pub count: u64,
    /// The records.
    pub records: Bytes,
}

/// Reads a row of the journal.
///
/// # Errors
/// `Corrupt` if it is damaged.
pub fn journal_entries(row: &[u8]) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    scan_row(row, &mut |entry| {
        let records = Bytes::copy_from_slice(entry.records);
        entries.push(Entry { run: entry.run, first: entry.first, count: entry.count, records });
        Ok(())
    })?;
    Ok(entries)
}

/// Writes a row of the journal.
///
/// # Errors
/// None is expected.
pub fn write_journal_entries(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut row = Vec::new();
    for Entry { run, first, count, records } in entries {
        encode(&mut row, *run, (*first, *count), std::iter::once(records))?;
    }
    Ok(row)
}

/// Puts the records of a run together from its entries, as a reader does.
///
/// # Errors
/// `Corrupt` if something is missing, damaged or too much.
pub fn put_together(entries: &[&Entry]) -> Result<Vec<Record>> {
    let mut pieces = Pieces::default();
    entries.iter().try_for_each(|entry| pieces.add(entry.first, entry.count, &entry.records))?;
    pieces.records()
}
