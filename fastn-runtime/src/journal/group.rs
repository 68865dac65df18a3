//! Writes that are committed together.

use std::sync::Arc;

use bytes::Bytes;
use fastn_store::{NewRun, Turn, Write};

use super::ticket::Fate;

/// The most writes in one commit, so that one commit's time and memory are bounded.
const MOST_WRITES: usize = 8_192;

/// A group takes no further write once it has so many bytes: a store bounds what one commit may hold, and each write may
/// be as large as the engine's largest payload.
const MOST_BYTES: usize = 16 << 20;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    entries: usize,
    records: usize,
}

/// Writes that will be committed together.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) entries: Vec<Entry>,
    /// The records of its turns, one after the other: one piece of memory for all of them.
    pub(super) records: Vec<u8>,
    /// What hosts chose the size of, in bytes.
    pub(super) bytes: usize,
    pub(super) fate: Arc<Fate>,
}

#[derive(Debug)]
pub(super) enum Entry {
    Create(Arc<NewRun>),
    /// Its records end here; they begin where those of the turn before end.
    Turn {
        turn: Turn,
        end: usize,
    },
}

impl Group {
    /// An empty one that has room for as much.
    pub(super) fn like(size: &Size) -> Self {
        let (entries, records) = (Vec::with_capacity(size.entries), Vec::with_capacity(size.records));
        Self { entries, records, ..Self::default() }
    }

    pub(super) fn size(&self) -> Size {
        Size { entries: self.entries.len(), records: self.records.len() }
    }

    pub(super) const fn is_full(&self) -> bool {
        self.entries.len() >= MOST_WRITES || self.bytes >= MOST_BYTES
    }

    pub(super) fn into_writes(self) -> Vec<Write> {
        let (records, mut begin) = (Bytes::from(self.records), 0);
        let write = |entry| match entry {
            Entry::Create(new) => Write::Create(new),
            Entry::Turn { turn, end } => {
                let piece = records.slice(begin..end);
                begin = end;
                Write::Turn(Turn { records: piece, ..turn })
            }
        };
        self.entries.into_iter().map(write).collect()
    }
}
