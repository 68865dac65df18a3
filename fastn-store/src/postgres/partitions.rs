//! A partition a day.

use std::sync::{Mutex, PoisonError};

use fastn_core::Result;
use tokio_postgres::Client;

use super::database::Database;
use super::days::{DAY, Days, range};
use super::fault::fault;

const OP: &str = "make partitions";

/// How many days are made ahead: for so long a fleet may do without anybody who makes more.
const AHEAD: i64 = 7;

/// How many days back are made at first: machines' clocks differ.
const BEHIND: i64 = 1;

/// The tables with partitions.
pub(super) const TABLES: [&str; 2] = ["flow_executions", "flow_history"];

/// What is known of the partitions.
#[derive(Debug, Default)]
pub(super) struct Partitions(Mutex<Days>);

impl Partitions {
    pub(super) fn days(&self) -> Days {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes what is missing, by the server's clock, and remembers what there is. Whoever else does so at the same time is
    /// waited for.
    pub(super) async fn ensure(&self, client: &mut Client, database: &Database) -> Result<()> {
        let schema = &*database.schema;
        let row = client
            .query_one("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint", &[])
            .await
            .map_err(fault(OP))?;
        let now: i64 = row.try_get(0).map_err(fault(OP))?;
        let today = now.div_euclid(DAY);
        let there = self.look(client).await?;
        if there.last() < Some(today + AHEAD) {
            let transaction = client.transaction().await.map_err(fault(OP))?;
            transaction
                .execute("SELECT pg_advisory_xact_lock(hashtext('fastn.partitions'), hashtext($1))", &[&schema])
                .await
                .map_err(fault(OP))?;
            let first = there.last().map_or(today - BEHIND, |last| last + 1);
            for day in first..=today + AHEAD {
                make(transaction.client(), schema, day).await?;
            }
            transaction.commit().await.map_err(fault(OP))?;
        }
        self.look(client).await.map(drop)
    }

    /// Looks which days there are.
    async fn look(&self, client: &Client) -> Result<Days> {
        let rows = client
            .query(
                "SELECT substring(c.relname from '_([0-9]+)$')::bigint FROM pg_inherits i
                 JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'flow_executions'::regclass",
                &[],
            )
            .await
            .map_err(fault(OP))?;
        let mut days = Vec::with_capacity(rows.len());
        for row in rows {
            days.push(row.try_get::<_, i64>(0).map_err(fault(OP))?);
        }
        let (first, last) = (days.iter().min(), days.iter().max());
        let days = match (first, last) {
            (Some(first), Some(last)) => Days::new(*first, *last),
            _ => Days::default(),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = days;
        Ok(days)
    }
}

/// Makes a day's partitions. They are made beside and then attached: that keeps nobody from writing to the others.
async fn make(client: &Client, schema: &str, day: i64) -> Result<()> {
    for table in TABLES {
        let row = client
            .query_one(
                "SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname = $1 AND c.relname = $2)",
                &[&schema.trim_matches('"'), &format!("{table}_{day}")],
            )
            .await
            .map_err(fault(OP))?;
        if row.try_get(0).map_err(fault(OP))? {
            continue;
        }
        attach(client, schema, table, day).await?;
    }
    Ok(())
}

/// Makes one partition.
pub(super) async fn attach(client: &Client, schema: &str, table: &str, day: i64) -> Result<()> {
    let ((from, to), name) = (range(day), format!("{schema}.{table}_{day}"));
    let unique = if table == "flow_executions" {
        format!("CREATE UNIQUE INDEX ON {name} (tenant_no, run_id);")
    } else {
        String::new()
    };
    client
        .batch_execute(&format!(
            "CREATE TABLE {name} (LIKE {schema}.{table} INCLUDING ALL);
             {unique}
             ALTER TABLE {name} ADD CONSTRAINT day CHECK (run_no >= {from} AND run_no < {to});
             ALTER TABLE {schema}.{table} ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({to});
             ALTER TABLE {name} DROP CONSTRAINT day"
        ))
        .await
        .map_err(fault(OP))
}
