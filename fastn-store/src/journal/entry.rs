//! What a commit appends to the journal: a CBOR sequence of `[run_no, first_seq, count, records]`.

use bytes::Bytes;
use fastn_core::{Error, ErrorKind, Result};
use minicbor::{Decoder, Encoder};

use super::corrupt;
use crate::RunNo;

/// What an entry takes beside its records, at most.
pub(crate) const ENTRY_OVERHEAD: usize = 1 + 4 * 9;

/// A turn in the journal.
pub(crate) struct Entry<'a> {
    pub(crate) run: RunNo,
    pub(crate) first: u64,
    pub(crate) count: u64,
    pub(crate) records: &'a [u8],
}

/// Appends an entry.
pub(crate) fn encode<'a>(
    entries: &mut Vec<u8>,
    run: RunNo,
    (first, count): (u64, u64),
    records: impl Iterator<Item = &'a Bytes> + Clone,
) -> Result<()> {
    let failed = |e: String| Error::new(ErrorKind::Internal, "encode journal").caused_by(e);
    let length: usize = records.clone().map(Bytes::len).sum();
    let mut encoder = Encoder::new(&mut *entries);
    encoder
        .array(4)
        .and_then(|e| e.u64(run.0)?.u64(first)?.u64(count)?.bytes_len(length as u64))
        .map_err(|e| failed(e.to_string()))?;
    for part in records {
        entries.extend_from_slice(part);
    }
    Ok(())
}

/// Shows every entry of one row.
pub(crate) fn scan_row<'a>(row: &'a [u8], each: &mut impl FnMut(Entry<'a>) -> Result<()>) -> Result<()> {
    let mut decoder = Decoder::new(row);
    while decoder.position() < row.len() {
        each(decode(&mut decoder).map_err(|e| corrupt("read journal", e.to_string()))?)?;
    }
    Ok(())
}

fn decode<'a>(decoder: &mut Decoder<'a>) -> Result<Entry<'a>, minicbor::decode::Error> {
    if decoder.array()? != Some(4) {
        return Err(minicbor::decode::Error::message("an entry has four parts"));
    }
    Ok(Entry { run: RunNo(decoder.u64()?), first: decoder.u64()?, count: decoder.u64()?, records: decoder.bytes()? })
}
