//! Deletes runs that ended long ago, one by one. Whole days of them are dropped at once instead: see `retire`.

use deadpool_postgres::Client;
use fastn_core::{Result, Timestamp};

use super::fault::fault;
use super::row::get;

/// Waits for whoever else deletes runs, until the transaction ends: two would wait for each other's rows in a circle. `$1` is
/// the schema.
pub(super) const ALONE: &str = "SELECT pg_advisory_xact_lock(hashtext('fastn.prune'), hashtext($1))";

/// Deletes up to `limit` runs that ended before a time, the oldest first, with all that they have.
pub(super) async fn prune(client: &mut Client, schema: &str, before: Timestamp, limit: u32) -> Result<u64> {
    const OP: &str = "prune runs";
    let transaction = client.transaction().await.map_err(fault(OP))?;
    transaction.query_one(ALONE, &[&schema]).await.map_err(fault(OP))?;
    let rows = transaction
        .query(
            "SELECT run_no FROM flow_history WHERE finished_at < $1 ORDER BY finished_at, run_no LIMIT $2",
            &[&before.as_micros(), &i64::from(limit)],
        )
        .await
        .map_err(fault(OP))?;
    let runs: Vec<i64> = rows.iter().map(|row| get(row, 0)).collect::<Result<_>>()?;
    for sql in [
        // There may be another run of the id: see `beside`.
        "DELETE FROM flow_effects f USING flow_executions e JOIN flow_tenants t ON t.tenant_no = e.tenant_no
         WHERE e.run_no = ANY ($1) AND f.run = e.run_id AND f.tenant = t.tenant AND NOT EXISTS (
             SELECT 1 FROM flow_keys k
             WHERE k.tenant_no = e.tenant_no AND k.run_id = e.run_id AND k.run_no <> e.run_no)",
        "DELETE FROM flow_keys k USING flow_executions e
         WHERE e.run_no = ANY ($1) AND k.tenant_no = e.tenant_no AND k.run_id = e.run_id AND k.run_no = e.run_no",
        "DELETE FROM flow_messages WHERE run_no = ANY ($1)",
        "DELETE FROM flow_batched WHERE run_no = ANY ($1)",
        "DELETE FROM flow_history WHERE run_no = ANY ($1)",
        "DELETE FROM flow_executions WHERE run_no = ANY ($1)",
    ] {
        transaction.execute(sql, &[&runs]).await.map_err(fault(OP))?;
    }
    transaction.commit().await.map_err(fault(OP))?;
    Ok(u64::try_from(runs.len()).unwrap_or(u64::MAX))
}
