//! Old days are dropped, not emptied: a day in which nothing is to be kept is two tables less. One in which a little is to be
//! kept is written anew with that. No row is deleted but keys and messages, which are few.

use fastn_core::Result;
use tokio_postgres::Transaction;

use super::database::Database;
use super::days::{DAY, range};
use super::fault::fault;
use super::partitions::{TABLES, attach};
use super::row::get;
use crate::Retention;

const OP: &str = "retire old runs";

/// A day is written anew when at most this part of its runs is to be kept.
const WORTH_IT: f64 = 0.5;

/// What was done to old days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    /// So many days were dropped.
    pub dropped: u64,
    /// So many were written anew with what is kept of them.
    pub thinned: u64,
    /// So many runs are gone.
    pub runs: u64,
}

/// Drops or thins every day that is over and has runs in it that are no longer kept, by the server's clock. One process does
/// so at a time; another one's call does nothing.
pub(super) async fn retire(
    client: &mut deadpool_postgres::Client,
    database: &Database,
    retention: &Retention,
) -> Result<Retired> {
    let mut retired = Retired::default();
    let Some(shortest) = retention.shortest() else { return Ok(retired) };
    let shortest = i64::try_from(shortest.as_secs()).unwrap_or(i64::MAX / 2);
    let rows = client
        .query(
            "SELECT substring(c.relname from '_([0-9]+)$')::bigint FROM pg_inherits i
             JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'flow_executions'::regclass
                 AND (substring(c.relname from '_([0-9]+)$')::bigint + 1) * $1 + $2
                     <= floor(extract(epoch FROM clock_timestamp()))::bigint
             ORDER BY 1",
            &[&DAY, &shortest.clamp(0, i64::MAX / 4)],
        )
        .await
        .map_err(fault(OP))?;
    for row in rows {
        let day: i64 = get(&row, 0)?;
        let transaction = client.transaction().await.map_err(fault(OP))?;
        let done = retire_day(&transaction, database, retention, day).await?;
        transaction.commit().await.map_err(fault(OP))?;
        if let Some((kept, gone)) = done {
            tracing::info!(day, kept, gone, "an old day was retired");
            retired.dropped += u64::from(kept == 0);
            retired.thinned += u64::from(kept > 0);
            retired.runs += u64::try_from(gone).unwrap_or_default();
        }
    }
    Ok(retired)
}

/// Retires a day, if that is worth it: how many runs are kept, and how many are gone.
async fn retire_day(
    transaction: &Transaction<'_>,
    database: &Database,
    retention: &Retention,
    day: i64,
) -> Result<Option<(i64, i64)>> {
    let schema = &*database.schema;
    let (from, to) = range(day);
    let row = transaction
        .query_one("SELECT pg_try_advisory_xact_lock(hashtext('fastn.retire'), hashtext($1))", &[&schema])
        .await
        .map_err(fault(OP))?;
    if !get::<bool>(&row, 0)? {
        return Ok(None);
    }
    // Without waiting for long: whoever waits behind this waits as well.
    transaction
        .batch_execute("SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = 0")
        .await
        .map_err(fault(OP))?;
    keep(transaction, retention, (from, to)).await?;
    let row = transaction
        .query_one(
            "SELECT (SELECT count(*) FROM flow_executions WHERE run_no >= $1 AND run_no < $2), (SELECT count(*) FROM kept)",
            &[&from, &to],
        )
        .await
        .map_err(fault(OP))?;
    let (all, kept): (i64, i64) = (get(&row, 0)?, get(&row, 1)?);
    #[expect(clippy::cast_precision_loss, reason = "a part need not be exact")]
    let worth_it = kept == 0 || (kept as f64) <= (all as f64) * WORTH_IT;
    if !worth_it {
        return Ok(None);
    }
    // From here on nobody writes to the day, and what has ended or begun since is looked at once more.
    for table in TABLES {
        transaction
            .batch_execute(&format!("LOCK TABLE {schema}.{table}_{day} IN ACCESS EXCLUSIVE MODE"))
            .await
            .map_err(fault(OP))?;
    }
    transaction.batch_execute("DROP TABLE kept").await.map_err(fault(OP))?;
    keep(transaction, retention, (from, to)).await?;
    for sql in [
        "DELETE FROM flow_keys k USING flow_executions e
         WHERE e.run_no >= $1 AND e.run_no < $2 AND e.run_no NOT IN (SELECT run_no FROM kept)
             AND k.tenant_no = e.tenant_no AND k.run_id = e.run_id",
        "DELETE FROM flow_messages WHERE run_no >= $1 AND run_no < $2 AND run_no NOT IN (SELECT run_no FROM kept)",
    ] {
        transaction.execute(sql, &[&from, &to]).await.map_err(fault(OP))?;
    }
    let kept: i64 = get(&transaction.query_one("SELECT count(*) FROM kept", &[]).await.map_err(fault(OP))?, 0)?;
    for table in TABLES {
        let name = format!("{schema}.{table}_{day}");
        if kept == 0 {
            transaction.batch_execute(&format!("DROP TABLE {name}")).await.map_err(fault(OP))?;
            continue;
        }
        transaction
            .batch_execute(&format!(
                "CREATE TEMPORARY TABLE staying ON COMMIT DROP AS SELECT * FROM {name} WHERE run_no IN (SELECT run_no FROM kept);
                 DROP TABLE {name}"
            ))
            .await
            .map_err(fault(OP))?;
        attach(transaction.client(), schema, table, day).await?;
        transaction
            .batch_execute(&format!("INSERT INTO {name} SELECT * FROM staying; DROP TABLE staying"))
            .await
            .map_err(fault(OP))?;
    }
    Ok(Some((kept, all - kept)))
}

/// Notes in a table of this transaction which runs of a day are kept: those that have not ended, and those that ended too
/// short a time ago.
async fn keep(transaction: &Transaction<'_>, retention: &Retention, (from, to): (i64, i64)) -> Result<()> {
    let (mut tenant, mut workflow, mut status, mut keep) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let micros = |keep: std::time::Duration| i64::try_from(keep.as_micros()).unwrap_or(i64::MAX).min(1 << 60);
    for rule in &retention.rules {
        tenant.push(rule.tenant.as_ref().map(|tenant| tenant.as_str()));
        workflow.push(rule.workflow.as_ref().map(|workflow| workflow.as_str()));
        status.push(rule.status.map(|status| i16::from(status.code())));
        keep.push(rule.keep.map(micros));
    }
    tenant.push(None);
    workflow.push(None);
    status.push(None);
    keep.push(retention.otherwise.map(micros));
    transaction
        .batch_execute("CREATE TEMPORARY TABLE kept (run_no bigint PRIMARY KEY) ON COMMIT DROP")
        .await
        .map_err(fault(OP))?;
    transaction
        .execute(
            "INSERT INTO kept
             SELECT e.run_no FROM flow_executions e
             JOIN flow_definitions d ON d.def_no = e.def_no
             JOIN flow_tenants t ON t.tenant_no = e.tenant_no
             LEFT JOIN LATERAL (
                 SELECT h.status, h.finished_at FROM flow_history h
                 WHERE h.run_no = e.run_no AND h.status IS NOT NULL LIMIT 1
             ) ended ON true
             LEFT JOIN LATERAL (
                 SELECT r.keep FROM unnest($3::text[], $4::text[], $5::smallint[], $6::bigint[])
                     WITH ORDINALITY AS r (tenant, workflow, status, keep, place)
                 WHERE (r.tenant IS NULL OR r.tenant = t.tenant) AND (r.workflow IS NULL OR r.workflow = d.workflow)
                     AND (r.status IS NULL OR r.status = ended.status)
                 ORDER BY r.place LIMIT 1
             ) rule ON true
             WHERE e.run_no >= $1 AND e.run_no < $2
                 AND (ended.status IS NULL OR rule.keep IS NULL
                     OR ended.finished_at + rule.keep > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)",
            &[&from, &to, &tenant, &workflow, &status, &keep],
        )
        .await
        .map_err(fault(OP))
        .map(drop)
}
