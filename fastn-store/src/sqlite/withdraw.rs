//! Runs that end before anything of them has begun.

use fastn_core::Result;
use rusqlite::{Connection, OptionalExtension};

use super::connection::transact;
use super::fault::fault;
use super::gather::give_list;
use super::hand::Hand;
use super::history::write_history;
use super::row::run_no;
use crate::standing::check_withdraw;
use crate::{RunStatus, Withdraw};

const OP: &str = "withdraw run";

/// Ends a run that nobody has ever had. Whether it was of a queue; `None` if there is no such run.
///
/// # Errors
/// As [`Queues::withdraw`](crate::Queues::withdraw).
pub(super) fn withdraw(conn: &Connection, ask: &Withdraw) -> Result<Option<bool>> {
    check_withdraw(ask)?;
    transact(conn, OP, |conn| {
        // Whoever has had it has left the token of its lease there.
        let found: Option<(i64, bool)> = conn
            .prepare_cached(
                "SELECT run_no, queued FROM flow_executions
                 WHERE tenant_no = (SELECT tenant_no FROM flow_tenants WHERE tenant = ?1) AND run_id = ?2
                     AND holder = 0 AND status = ?3",
            )
            .and_then(|mut select| {
                let key = (ask.run.tenant.as_str(), ask.run.run.as_bytes(), RunStatus::Pending.code());
                select.query_row(key, |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .map_err(fault(OP))?;
        let Some((no, queued)) = found else { return Ok(None) };
        give_list(conn, no)?;
        conn.prepare_cached("DELETE FROM flow_queued WHERE run_no = ?1")
            .and_then(|mut delete| delete.execute([no]))
            .map_err(fault(OP))?;
        let mut hand = Hand::of(conn);
        write_history(&mut hand, run_no(no), 0, u64::from(ask.count), &ask.records)?;
        hand.finish()
            .and_then(|finish| finish.execute((no, ask.status.code(), ask.now.as_micros())))
            .map_err(fault(OP))?;
        Ok(Some(queued))
    })
}
