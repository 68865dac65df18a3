//! The statements of one transaction that are made for many rows.

use rusqlite::{CachedStatement, Connection, Result};

/// Has each statement ready from its first use to the end of the transaction: looking one up costs as much as many a row.
pub(super) struct Hand<'c> {
    conn: &'c Connection,
    create: Option<CachedStatement<'c>>,
    change: Option<CachedStatement<'c>>,
    finish: Option<CachedStatement<'c>>,
    history: Option<CachedStatement<'c>>,
}

impl<'c> Hand<'c> {
    pub(super) const fn of(conn: &'c Connection) -> Self {
        Self { conn, create: None, change: None, finish: None, history: None }
    }

    /// Creates a run, unless there is one of its id.
    pub(super) fn create(&mut self) -> Result<&mut CachedStatement<'c>> {
        ready(
            self.conn,
            &mut self.create,
            "INSERT INTO flow_executions
                 (run_no, tenant_no, run_id, def_no, status, holder, created_at, input_type, input, queued)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (tenant_no, run_id) DO NOTHING",
        )
    }

    /// Changes how a run stands that has not ended. Does not name finished_at, and so touches no index.
    pub(super) fn change(&mut self) -> Result<&mut CachedStatement<'c>> {
        let sql = "UPDATE flow_executions SET status = ?2, wake_at = ?3 WHERE run_no = ?1";
        ready(self.conn, &mut self.change, sql)
    }

    /// Says that a run has ended.
    pub(super) fn finish(&mut self) -> Result<&mut CachedStatement<'c>> {
        let sql = "UPDATE flow_executions SET status = ?2, wake_at = NULL, finished_at = ?3 WHERE run_no = ?1";
        ready(self.conn, &mut self.finish, sql)
    }

    /// Adds a piece to the history of a run.
    pub(super) fn history(&mut self) -> Result<&mut CachedStatement<'c>> {
        let sql = "INSERT INTO flow_history (run_no, first_seq, count, records) VALUES (?1, ?2, ?3, ?4)";
        ready(self.conn, &mut self.history, sql)
    }
}

fn ready<'s, 'c>(
    conn: &'c Connection,
    place: &'s mut Option<CachedStatement<'c>>,
    sql: &str,
) -> Result<&'s mut CachedStatement<'c>> {
    if place.is_none() {
        *place = Some(conn.prepare_cached(sql)?);
    }
    // It was just put there.
    place.as_mut().ok_or(rusqlite::Error::InvalidQuery)
}
