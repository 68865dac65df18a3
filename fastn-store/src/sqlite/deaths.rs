//! Which executors died, and over which runs.

use std::collections::HashSet;

use fastn_core::Result;
use rusqlite::Connection;

use super::fault::fault;
use super::row::{get, stored};
use crate::RunNo;

const OP: &str = "count deaths";

/// Notes that the last lease was not released, if it was not, and forgets what no claim will ask for. To be called when the
/// next one is taken.
pub(super) fn note(conn: &Connection) -> Result<()> {
    for sql in [
        "INSERT INTO dead_leases SELECT token FROM lease WHERE ended = 0",
        "DELETE FROM dead_leases WHERE token NOT IN (SELECT holder FROM flow_executions WHERE finished_at IS NULL)",
        "DELETE FROM flow_deaths
         WHERE run_no NOT IN (SELECT run_no FROM flow_executions WHERE finished_at IS NULL)",
    ] {
        conn.execute(sql, []).map_err(fault(OP))?;
    }
    Ok(())
}

/// The leases that were not released and may have left runs.
pub(super) fn dead_leases(conn: &Connection) -> Result<HashSet<i64>> {
    let mut select = conn.prepare_cached("SELECT token FROM dead_leases").map_err(fault(OP))?;
    let mut rows = select.query([]).map_err(fault(OP))?;
    let mut tokens = HashSet::new();
    while let Some(row) = rows.next().map_err(fault(OP))? {
        tokens.insert(get(row, 0)?);
    }
    Ok(tokens)
}

/// How many will have died over a run with the one who has just died.
pub(super) fn with_one_more(conn: &Connection, run: RunNo) -> Result<u32> {
    conn.prepare_cached(
        "SELECT coalesce((SELECT min(d.deaths + 1, 4294967295) FROM flow_deaths d WHERE d.run_no = ?1 AND d.records = coalesce(
             (SELECT h.first_seq + h.count FROM flow_history h WHERE h.run_no = ?1 ORDER BY h.first_seq DESC LIMIT 1), 0)), 1)",
    )
    .and_then(|mut select| select.query_row([stored(run.0)], |row| row.get(0)))
    .map_err(fault(OP))
}

/// Counts one more that died over a run that has so many records.
pub(super) fn count(conn: &Connection, run: RunNo, records: usize) -> Result<u32> {
    let records = i64::try_from(records).unwrap_or(i64::MAX);
    conn.prepare_cached(
        "INSERT INTO flow_deaths (run_no, deaths, records) VALUES (?1, 1, ?2)
         ON CONFLICT DO UPDATE SET
             deaths = CASE WHEN records = excluded.records THEN min(deaths + 1, 4294967295) ELSE 1 END,
             records = excluded.records
         RETURNING deaths",
    )
    .and_then(|mut upsert| upsert.query_row((stored(run.0), records), |row| row.get(0)))
    .map_err(fault(OP))
}

/// Forgets those that died over a run.
pub(super) fn forget(conn: &Connection, run: RunNo) -> Result<()> {
    conn.prepare_cached("DELETE FROM flow_deaths WHERE run_no = ?1")
        .and_then(|mut delete| delete.execute([stored(run.0)]))
        .map_err(fault(OP))
        .map(drop)
}
