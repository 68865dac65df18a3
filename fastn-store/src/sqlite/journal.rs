//! The journal: one row per commit, with the turns of all runs in it.

use std::collections::BTreeMap;

use fastn_core::Result;
use rusqlite::{Connection, OptionalExtension};

use super::fault::{corrupt, fault};
use super::hand::Hand;
use super::history::{next_in_history, write_history};
use super::row::stored;
use crate::RunNo;
use crate::journal::{Entry, Pieces, scan_row};

/// Writes what one commit appended.
pub(super) fn write(conn: &Connection, entries: &[u8]) -> Result<()> {
    conn.prepare_cached("INSERT INTO journal (entries) VALUES (?1)")
        .and_then(|mut insert| insert.execute([entries]))
        .map_err(fault("write journal"))
        .map(drop)
}

/// Deletes everything: all of it is in `flow_history`.
pub(super) fn clear(conn: &Connection) -> Result<()> {
    conn.prepare_cached("DELETE FROM journal")
        .and_then(|mut delete| delete.execute([]))
        .map_err(fault("clear journal"))
        .map(drop)
}

/// Adds to the records of a run what the journal has of it.
pub(super) fn read_tail(conn: &Connection, run: RunNo, pieces: &mut Pieces) -> Result<()> {
    scan(conn, |entry| match entry.run == run {
        true => pieces.add(entry.first, entry.count, entry.records),
        false => Ok(()),
    })
}

/// Moves what the journal has of unfinished runs to `flow_history`, and clears it.
///
/// The journal also has turns of runs that have ended, which were moved when they did, and of runs that were deleted
/// since.
pub(super) fn fold(conn: &Connection) -> Result<()> {
    let mut tails: BTreeMap<RunNo, Option<Tail>> = BTreeMap::new();
    scan(conn, |entry| {
        let tail = match tails.entry(entry.run) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => new.insert(Tail::of(conn, entry.run)?),
        };
        tail.as_mut().map_or(Ok(()), |tail| tail.add(&entry))
    })?;
    let mut hand = Hand::of(conn);
    for (run, tail) in tails {
        if let Some(tail) = tail.filter(|tail| tail.next > tail.first) {
            write_history(&mut hand, run, tail.first, tail.next - tail.first, &tail.records)?;
        }
    }
    clear(conn)
}

/// What the journal has of an unfinished run beyond `flow_history`.
struct Tail {
    first: u64,
    next: u64,
    records: Vec<u8>,
}

impl Tail {
    /// The empty tail of a run; `None` if it has ended or is gone.
    fn of(conn: &Connection, run: RunNo) -> Result<Option<Self>> {
        let unfinished: Option<bool> = conn
            .prepare_cached("SELECT finished_at IS NULL FROM flow_executions WHERE run_no = ?1")
            .and_then(|mut select| select.query_row([stored(run.0)], |row| row.get(0)).optional())
            .map_err(fault("fold journal"))?;
        if unfinished != Some(true) {
            return Ok(None);
        }
        let first = next_in_history(conn, run)?;
        Ok(Some(Self { first, next: first, records: Vec::new() }))
    }

    fn add(&mut self, entry: &Entry<'_>) -> Result<()> {
        let end = entry.first.saturating_add(entry.count);
        if end <= self.next {
            return Ok(());
        }
        if entry.first != self.next {
            return Err(corrupt("fold journal", format!("run {}: record {} is missing", entry.run.0, self.next)));
        }
        self.records.extend_from_slice(entry.records);
        self.next = end;
        Ok(())
    }
}

/// Shows every entry, in the order of their commits.
fn scan(conn: &Connection, mut each: impl FnMut(Entry<'_>) -> Result<()>) -> Result<()> {
    const OP: &str = "read journal";
    let mut select = conn.prepare_cached("SELECT entries FROM journal ORDER BY pos").map_err(fault(OP))?;
    let mut rows = select.query([]).map_err(fault(OP))?;
    while let Some(row) = rows.next().map_err(fault(OP))? {
        let entries = row.get_ref(0).map_err(fault(OP))?;
        let entries = entries.as_blob().map_err(|e| corrupt(OP, e.to_string()))?;
        scan_row(entries, &mut each)?;
    }
    Ok(())
}
