//! `flow_history`: where the records of a run stay.

use fastn_core::Result;
use rusqlite::{Connection, OptionalExtension};

use super::fault::{corrupt, fault};
use super::hand::Hand;
use super::row::{get, stored};
use crate::RunNo;
use crate::journal::Pieces;

const OP: &str = "read history";

/// The records of a run in `flow_history`.
pub(super) fn read_history(conn: &Connection, run: RunNo) -> Result<Pieces> {
    let mut select = conn
        .prepare_cached("SELECT first_seq, count, records FROM flow_history WHERE run_no = ?1 ORDER BY first_seq")
        .map_err(fault(OP))?;
    let mut rows = select.query([stored(run.0)]).map_err(fault(OP))?;
    let mut pieces = Pieces::default();
    while let Some(row) = rows.next().map_err(fault(OP))? {
        let records = row.get_ref(2).map_err(fault(OP))?;
        let records = records.as_blob().map_err(|e| corrupt(OP, e.to_string()))?;
        pieces.add(number(get(row, 0)?)?, number(get(row, 1)?)?, records)?;
    }
    Ok(pieces)
}

/// The sequence number that follows the last record of a run in `flow_history`.
pub(super) fn next_in_history(conn: &Connection, run: RunNo) -> Result<u64> {
    let next: Option<i64> = conn
        .prepare_cached("SELECT first_seq + count FROM flow_history WHERE run_no = ?1 ORDER BY first_seq DESC LIMIT 1")
        .and_then(|mut select| select.query_row([stored(run.0)], |row| row.get(0)).optional())
        .map_err(fault(OP))?;
    number(next.unwrap_or(0))
}

/// Writes a piece.
pub(super) fn write_history(hand: &mut Hand<'_>, run: RunNo, first: u64, count: u64, records: &[u8]) -> Result<()> {
    hand.history()
        .and_then(|insert| insert.execute((stored(run.0), stored(first), stored(count), records)))
        .map_err(fault("write history"))
        .map(drop)
}

fn number(stored: i64) -> Result<u64> {
    u64::try_from(stored).map_err(|_| corrupt(OP, format!("{stored} is no sequence number")))
}
