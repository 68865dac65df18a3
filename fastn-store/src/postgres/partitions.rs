//! A partition a day.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use fastn_core::Result;
use tokio_postgres::Client;

use super::database::Database;
use super::days::{DAY, Days, range};
use super::fault::fault;
use super::row::get;

const OP: &str = "make partitions";

/// How many days are made ahead: for so long a fleet may do without anybody who makes more.
const AHEAD: i64 = 7;

/// How many days back runs are created: machines' clocks differ. What is said to be older may be of a day that is being
/// retired, and is created in the first of these days.
const BEHIND: i64 = 1;

/// The tables with partitions, in the order in which everybody locks them.
pub(super) const TABLES: [&str; 2] = ["flow_executions", "flow_history"];

/// What is known of the partitions.
#[derive(Debug, Default)]
pub(super) struct Partitions(Mutex<Days>);

impl Partitions {
    /// The days in which runs are created.
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
        let today = get::<i64>(&row, 0)?.div_euclid(DAY);
        let there = all(client).await?;
        // Of the past only at first: a day that is missing later was retired.
        let first = if there.is_empty() { today - BEHIND } else { today };
        let missing: Vec<i64> = (first..=today + AHEAD).filter(|day| !there.contains(day)).collect();
        if !missing.is_empty() {
            let transaction = client.transaction().await.map_err(fault(OP))?;
            transaction
                .execute("SELECT pg_advisory_xact_lock(hashtext('fastn.partitions'), hashtext($1))", &[&schema])
                .await
                .map_err(fault(OP))?;
            for day in missing {
                make(transaction.client(), schema, day).await?;
            }
            transaction.commit().await.map_err(fault(OP))?;
        }
        let there = all(client).await?;
        // Older ones may have gaps, and may be gone in a moment.
        let first = (today - BEHIND..=today).find(|day| there.contains(day)).unwrap_or(today);
        let last = (first..).take_while(|day| there.contains(day)).last().unwrap_or(today);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Days::new(first, last);
        Ok(())
    }
}

/// The days that there are.
pub(super) async fn all(client: &Client) -> Result<BTreeSet<i64>> {
    let rows = client.query("SELECT day FROM days_1() AS d (day)", &[]).await.map_err(fault(OP))?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// Makes a day's partitions. They are made beside and then attached: that keeps nobody from writing to the others.
async fn make(client: &Client, schema: &str, day: i64) -> Result<()> {
    for table in TABLES {
        let name = format!("{table}_{day}");
        let row = client
            .query_one(
                "SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname = $1 AND c.relname = $2)",
                &[&schema.trim_matches('"'), &name],
            )
            .await
            .map_err(fault(OP))?;
        if get(&row, 0)? {
            continue;
        }
        let sql = [beside_sql(schema, table, day, &name), attach_sql(schema, table, day)].join(";");
        client.batch_execute(&sql).await.map_err(fault(OP))?;
    }
    Ok(())
}

/// Makes a table of this name that can become a partition without being read through.
pub(super) fn beside_sql(schema: &str, table: &str, day: i64, name: &str) -> String {
    let (from, to) = range(day);
    let unique = if table == "flow_executions" {
        format!(";CREATE UNIQUE INDEX ON {schema}.{name} (tenant_no, run_id)")
    } else {
        String::new()
    };
    format!(
        "CREATE TABLE {schema}.{name} (LIKE {schema}.{table} INCLUDING ALL);
         ALTER TABLE {schema}.{name} ADD CONSTRAINT day CHECK (run_no >= {from} AND run_no < {to}){unique}"
    )
}

/// Makes such a table the partition of its day. It has the name that partitions have.
pub(super) fn attach_sql(schema: &str, table: &str, day: i64) -> String {
    let ((from, to), name) = (range(day), format!("{schema}.{table}_{day}"));
    format!(
        "ALTER TABLE {schema}.{table} ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({to});
         ALTER TABLE {name} DROP CONSTRAINT day"
    )
}
