//! What a transaction is to write, gathered before anything is written.

use std::collections::hash_map::Entry;

use bytes::Bytes;
use fastn_core::{Error, ErrorKind, Result, Timestamp};
use foldhash::HashMap;

use super::entry::ENTRY_OVERHEAD;
use crate::queue::check_item;
use crate::standing::{Standing, Verdict, fenced, no_lease};
use crate::{Batch, RunNo, Then, Turn, Write};

/// The largest batch, in bytes. SQLite takes values of up to 10^9 bytes, and a transaction writes its turns as one.
const MAX_BATCH: usize = 512 << 20;

/// The turns of all batches of a transaction, by run.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) changes: HashMap<RunNo, Change>,
    pub(crate) turns: usize,
    pub(crate) records: u64,
    /// About the size of the turns in the journal.
    pub(crate) bytes: usize,
}

/// What the transaction adds to one run.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) first: u64,
    pub(crate) count: u64,
    records: Bytes,
    /// Those of its further turns: hardly ever has a run two in one transaction.
    more: Vec<Bytes>,
    /// What its last turn says is next.
    pub(crate) then: Then,
    /// When its last turn was committed.
    pub(crate) at: Timestamp,
}

impl Draft {
    /// Judges a batch and gathers its turns: all of them, or on any error none.
    ///
    /// `token` is that of the lease in force; `stored` says where a run stands in the database.
    ///
    /// # Errors
    /// As [`Store::commit`](crate::Store::commit); [`TooLarge`](ErrorKind::TooLarge) above 512 MiB.
    pub(crate) fn gather(
        &mut self,
        batch: &Batch,
        token: Option<u64>,
        mut stored: impl FnMut(&Turn) -> Result<Standing>,
    ) -> Result<Vec<Verdict>> {
        if let Some(asked) = batch.lease.filter(|asked| token != Some(*asked)) {
            return Err(fenced("commit", asked));
        }
        for write in &batch.writes {
            if let Write::Enqueue(new) = write {
                check_item(new)?;
            }
        }
        let size: usize = batch.writes.iter().map(size_of).sum();
        if size > MAX_BATCH {
            let error = Error::new(ErrorKind::TooLarge, "commit").with("bytes", size).with("at most", MAX_BATCH);
            return Err(error);
        }
        let mut standings: HashMap<RunNo, Standing> = HashMap::default();
        standings.reserve(batch.writes.len());
        self.changes.reserve(batch.writes.len());
        let mut verdicts = Vec::with_capacity(batch.writes.len());
        for write in &batch.writes {
            let Write::Turn(turn) = write else {
                verdicts.push(Verdict::Add);
                continue;
            };
            batch.lease.ok_or_else(no_lease)?;
            let standing = match standings.entry(turn.run) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(match self.changes.get(&turn.run) {
                    Some(change) => change.standing(),
                    None => stored(turn)?,
                }),
            };
            verdicts.push(standing.admit(turn)?);
        }
        for (write, verdict) in batch.writes.iter().zip(&verdicts) {
            if let (Write::Turn(turn), Verdict::Add) = (write, verdict) {
                self.add(turn, batch.now);
            }
        }
        Ok(verdicts)
    }

    /// The most that [`Draft::gather`] adds to [`Draft::bytes`] for a batch.
    #[cfg(feature = "postgres")]
    pub(crate) fn most_bytes(batch: &Batch) -> usize {
        let size = |write: &Write| match write {
            Write::Turn(turn) => turn.records.len() + ENTRY_OVERHEAD,
            Write::Create(_) | Write::Enqueue(_) => 0,
        };
        batch.writes.iter().map(size).sum()
    }

    fn add(&mut self, turn: &Turn, at: Timestamp) {
        let (count, records) = (u64::from(turn.count), turn.records.clone());
        match self.changes.entry(turn.run) {
            Entry::Vacant(new) => {
                new.insert(Change { first: turn.first, count, records, more: Vec::new(), then: turn.then, at });
            }
            Entry::Occupied(known) => {
                let change = known.into_mut();
                change.count += count;
                change.more.push(records);
                change.then = turn.then;
                change.at = at;
            }
        }
        self.turns += 1;
        self.records += u64::from(turn.count);
        self.bytes += turn.records.len() + ENTRY_OVERHEAD;
    }
}

impl Change {
    /// The records of its only turn; `None` if there were several.
    pub(crate) const fn only(&self) -> Option<&Bytes> {
        if self.more.is_empty() { Some(&self.records) } else { None }
    }

    /// The size of its records.
    pub(crate) fn size(&self) -> usize {
        self.records().map(Bytes::len).sum()
    }

    /// The records of its turns, in their order.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Bytes> + Clone {
        std::iter::once(&self.records).chain(&self.more)
    }

    /// The sequence number that follows.
    pub(crate) const fn next(&self) -> u64 {
        self.first.saturating_add(self.count)
    }

    fn standing(&self) -> Standing {
        Standing { next: self.next(), held: !matches!(self.then, Then::End(_)) }
    }
}

/// The size of a write, as far as its caller chooses it.
pub(crate) fn size_of(write: &Write) -> usize {
    match write {
        Write::Create(new) => new.input.len(),
        Write::Enqueue(new) => new.new.input.len(),
        Write::Turn(turn) => turn.records.len(),
    }
}
