//! A day is written anew beside itself, while its runs go on.
//!
//! First a trigger is put on the day's two tables, which notes in what runs something happens from then on. Then what stays
//! is copied to two tables beside, a page at a time, and what the others have elsewhere is deleted. At last the day is locked
//! for a moment: the runs that were noted are taken over once more, and the tables change places. A process that dies
//! leaves tables and triggers that are of no use, and harm nobody; who does this next removes them.

use std::time::Duration;

use fastn_core::Result;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error};

use super::days::range;
use super::fault::fault;
use super::judge::{Rules, judged_sql};
use super::partitions::{TABLES, attach_sql, beside_sql};
use super::prune::ALONE;

const OP: &str = "retire old runs";

/// So many runs are judged and copied at a time. Whoever creates a run of an id that is being forgotten waits for one such
/// page.
const PAGE: i64 = 2_000;

/// How long a lock is waited for that nobody gets past: whoever comes behind waits as well.
const BRIEF: &str = "SET LOCAL lock_timeout = '200ms'; SET LOCAL statement_timeout = '300ms'";

/// How often it is tried to get such a lock, and how long the others have in between.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_millis(250);

/// When so few runs are left to be taken over again, the day is locked for them.
const FEW: usize = 100;

/// How often it is tried to get there, should they go on faster than they are copied.
const ROUNDS: usize = 10;

/// How runs that were judged are counted.
const COUNTED: &str =
    "count(*) FILTER (WHERE stays), count(*) FILTER (WHERE NOT stays), max(overdue) FILTER (WHERE NOT stays)";

/// The runs of a day, or of a part of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) stay: i64,
    pub(super) go: i64,
    /// For how long the time of one of those that go has been over, in microseconds.
    pub(super) overdue: i64,
}

/// What became of a day that was to change places with what was written beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Swapped {
    /// Nothing was there to stay.
    Dropped,
    Thinned,
    /// It could not be locked.
    Busy,
}

/// A day, and the connection by which it is written anew.
pub(super) struct Day<'c> {
    pub(super) client: &'c mut Client,
    pub(super) schema: &'c str,
    pub(super) day: i64,
}

impl Day<'_> {
    /// How many runs stay, and how many go.
    pub(super) async fn count(&self, rules: &Rules) -> Result<Counted> {
        let judged = judged_sql(self.schema, self.day);
        let sql = format!("SELECT {COUNTED} FROM ({judged}) judged");
        let (mut counted, mut after) = (Counted::default(), -1);
        while let Some(last) = self.page_after(after).await.map_err(fault(OP))? {
            let [tenant, workflow, status, keep] = rules.values();
            let row = self.client.query_one(&sql, &[&after, &last, tenant, workflow, status, keep]).await;
            counted.add(&row.map_err(fault(OP))?).map_err(fault(OP))?;
            after = last;
        }
        Ok(counted)
    }

    /// Begins to note in which runs something happens. Whether the day could be locked for that.
    pub(super) async fn capture(&mut self) -> Result<bool> {
        for _ in 0..TRIES {
            match self.try_capture().await {
                Ok(()) => return Ok(true),
                Err(error) if is_busy(&error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(fault(OP)(error)),
            }
        }
        Ok(false)
    }

    async fn try_capture(&mut self) -> Result<(), Error> {
        let (schema, day) = (self.schema, self.day);
        let transaction = self.client.transaction().await?;
        transaction.batch_execute(BRIEF).await?;
        // Whoever has written to the day and not committed yet is waited for: what he wrote is not noted.
        let lock = format!(
            "LOCK TABLE {schema}.flow_executions_{day}, {schema}.flow_history_{day} IN SHARE ROW EXCLUSIVE MODE"
        );
        transaction.batch_execute(&lock).await?;
        transaction.batch_execute("DELETE FROM flow_late").await?;
        for table in TABLES {
            let name = format!("{schema}.{table}_{day}");
            let there = transaction
                .query_one(
                    "SELECT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = $1::text::regclass AND tgname = 'late')",
                    &[&name],
                )
                .await?;
            if !there.try_get::<_, bool>(0)? {
                let trigger = format!(
                    "CREATE TRIGGER late AFTER INSERT OR UPDATE OR DELETE ON {name}
                     FOR EACH ROW EXECUTE FUNCTION {schema}.note_late_1()"
                );
                transaction.batch_execute(&trigger).await?;
            }
        }
        transaction.commit().await
    }

    /// Notes nothing any more, if somebody who died over the day has left it so. If it cannot be locked just now, that is
    /// for another time.
    pub(super) async fn release(&mut self) -> Result<()> {
        let (schema, day) = (self.schema, self.day);
        let left = self
            .client
            .query_one(
                "SELECT EXISTS (SELECT 1 FROM pg_trigger WHERE tgname = 'late'
                     AND tgrelid IN (to_regclass($1::text), to_regclass($2::text)))",
                &[&format!("{schema}.flow_executions_{day}"), &format!("{schema}.flow_history_{day}")],
            )
            .await
            .and_then(|row| row.try_get::<_, bool>(0))
            .map_err(fault(OP))?;
        if !left {
            return Ok(());
        }
        match self.try_release().await {
            Err(error) if is_busy(&error) => Ok(()),
            other => other.map_err(fault(OP)),
        }
    }

    async fn try_release(&mut self) -> Result<(), Error> {
        let (schema, day) = (self.schema, self.day);
        let transaction = self.client.transaction().await?;
        transaction.batch_execute(BRIEF).await?;
        for table in TABLES {
            transaction.batch_execute(&format!("DROP TRIGGER IF EXISTS late ON {schema}.{table}_{day}")).await?;
        }
        transaction.commit().await
    }

    /// Writes what stays to tables beside, and deletes what the others have elsewhere.
    ///
    /// That comes first: a key must never say that there is a run when its day is gone, since nobody could create another of
    /// its id. A run that has lost its key is one whose time is over, and which is no longer found by its name.
    pub(super) async fn write(&mut self, rules: &Rules) -> Result<Counted> {
        let (schema, day) = (self.schema, self.day);
        for table in TABLES {
            let name = format!("{table}_{day}_new");
            let sql = beside_sql(schema, table, day, &name);
            // Nobody else may hold it when it changes places.
            let alone = format!("ALTER TABLE {schema}.{name} SET (autovacuum_enabled = false)");
            self.client.batch_execute(&[sql, alone].join(";")).await.map_err(fault(OP))?;
        }
        let judged = judged_sql(schema, day);
        let sql = format!(
            "WITH judged AS MATERIALIZED ({judged}), stay AS (
                 INSERT INTO {schema}.flow_executions_{day}_new SELECT e.* FROM {schema}.flow_executions_{day} e
                 WHERE e.run_no IN (SELECT run_no FROM judged WHERE stays)
             ), history AS (
                 INSERT INTO {schema}.flow_history_{day}_new SELECT h.* FROM {schema}.flow_history_{day} h
                 WHERE h.run_no IN (SELECT run_no FROM judged WHERE stays)
             ), keys AS (
                 DELETE FROM flow_keys k USING judged j
                 WHERE NOT j.stays AND k.tenant_no = j.tenant_no AND k.run_id = j.run_id AND k.run_no = j.run_no
             ), messages AS (
                 DELETE FROM flow_messages m USING judged j WHERE NOT j.stays AND m.run_no = j.run_no
             ), effects AS (
                 -- In the same moment: once it has no key there may be another run of its id, which has its own effects.
                 DELETE FROM flow_effects f USING judged j
                 WHERE NOT j.stays AND f.run = j.run_id AND f.tenant = j.tenant AND NOT EXISTS (
                     SELECT 1 FROM flow_keys k
                     WHERE k.tenant_no = j.tenant_no AND k.run_id = j.run_id AND k.run_no <> j.run_no)
             )
             SELECT {COUNTED} FROM judged"
        );
        let (mut counted, mut after) = (Counted::default(), -1);
        while let Some(last) = self.page_after(after).await.map_err(fault(OP))? {
            let [tenant, workflow, status, keep] = rules.values();
            self.write_page(&sql, &[&after, &last, tenant, workflow, status, keep], &mut counted)
                .await
                .map_err(fault(OP))?;
            after = last;
        }
        Ok(counted)
    }

    async fn write_page(
        &mut self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
        counted: &mut Counted,
    ) -> Result<(), Error> {
        let transaction = self.client.transaction().await?;
        transaction.query_one(ALONE, &[&self.schema]).await?;
        let row = transaction.query_one(sql, values).await?;
        transaction.commit().await?;
        counted.add(&row)
    }

    /// The last run of the page that follows a run.
    async fn page_after(&self, after: i64) -> Result<Option<i64>, Error> {
        let (schema, day) = (self.schema, self.day);
        let sql = format!(
            "SELECT max(run_no) FROM (
                 SELECT run_no FROM {schema}.flow_executions_{day} WHERE run_no > $1 ORDER BY run_no LIMIT $2
             ) page"
        );
        self.client.query_one(&sql, &[&after, &PAGE]).await?.try_get(0)
    }

    /// Puts what was written in the day's place.
    pub(super) async fn swap(&mut self) -> Result<Swapped> {
        for _ in 0..TRIES {
            for _ in 0..ROUNDS {
                if self.catch_up().await.map_err(fault(OP))? <= FEW {
                    break;
                }
            }
            match self.try_swap().await {
                Ok(swapped) => return Ok(swapped),
                Err(error) if is_busy(&error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(fault(OP)(error)),
            }
        }
        Ok(Swapped::Busy)
    }

    /// Deletes the items of runs that are gone, once they are: until then they are known. Whoever adds one that was left here by
    /// somebody who died finds that out.
    pub(super) async fn forget_items(&self) -> Result<()> {
        let (mut after, end) = range(self.day);
        loop {
            let row = self
                .client
                .query_one(
                    "WITH page AS MATERIALIZED (
                         SELECT DISTINCT b.run_no FROM flow_batched b WHERE b.run_no >= $1 AND b.run_no < $2
                         ORDER BY b.run_no LIMIT $3
                     ), gone AS (
                         DELETE FROM flow_batched b USING page p WHERE b.run_no = p.run_no
                             AND NOT EXISTS (SELECT 1 FROM flow_executions e WHERE e.run_no = p.run_no)
                     )
                     SELECT max(run_no) FROM page",
                    &[&after, &end, &PAGE],
                )
                .await
                .map_err(fault(OP))?;
            match row.try_get::<_, Option<i64>>(0).map_err(fault(OP))? {
                Some(last) => after = last + 1,
                None => return Ok(()),
            }
        }
    }

    /// Takes over what has happened meanwhile. In how many runs something did.
    async fn catch_up(&mut self) -> Result<usize, Error> {
        let transaction = self.client.transaction().await?;
        let late = catch_up(transaction.client(), self.schema, self.day).await?;
        transaction.commit().await?;
        Ok(late)
    }

    async fn try_swap(&mut self) -> Result<Swapped, Error> {
        let (schema, day) = (self.schema, self.day);
        let transaction = self.client.transaction().await?;
        transaction.batch_execute(BRIEF).await?;
        // A partition cannot be dropped without its parent's lock. In the order in which everybody locks them.
        let lock = format!(
            "LOCK TABLE ONLY {schema}.flow_executions, ONLY {schema}.flow_executions_{day},
                 ONLY {schema}.flow_history, ONLY {schema}.flow_history_{day} IN ACCESS EXCLUSIVE MODE"
        );
        transaction.batch_execute(&lock).await?;
        transaction.batch_execute("SET LOCAL statement_timeout = '2s'").await?;
        catch_up(transaction.client(), schema, day).await?;
        let stays = format!("SELECT EXISTS (SELECT 1 FROM {schema}.flow_executions_{day}_new)");
        let stays: bool = transaction.query_one(&stays, &[]).await?.try_get(0)?;
        for table in TABLES {
            let name = format!("{schema}.{table}_{day}");
            transaction.batch_execute(&format!("DROP TABLE {name}")).await?;
            if stays {
                let attach = attach_sql(schema, table, day);
                transaction
                    .batch_execute(&format!(
                        "ALTER TABLE {name}_new RENAME TO {table}_{day}; {attach};
                         ALTER TABLE {name} RESET (autovacuum_enabled)"
                    ))
                    .await?;
            } else {
                transaction.batch_execute(&format!("DROP TABLE {name}_new")).await?;
            }
        }
        transaction.commit().await?;
        Ok(if stays { Swapped::Thinned } else { Swapped::Dropped })
    }
}

impl Counted {
    fn add(&mut self, row: &tokio_postgres::Row) -> Result<(), Error> {
        self.stay += row.try_get::<_, i64>(0)?;
        self.go += row.try_get::<_, i64>(1)?;
        self.overdue = self.overdue.max(row.try_get::<_, Option<i64>>(2)?.unwrap_or_default());
        Ok(())
    }
}

/// Copies the runs once more that were noted, whatever they are by now. What is seen here of those notes was committed
/// before what is copied is looked at; what is not will be noted when it is.
async fn catch_up(client: &Client, schema: &str, day: i64) -> Result<usize, Error> {
    let rows = client
        .query("WITH late AS (DELETE FROM flow_late RETURNING run_no) SELECT DISTINCT run_no FROM late", &[])
        .await?;
    let late: Vec<i64> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    if late.is_empty() {
        return Ok(0);
    }
    for table in TABLES {
        let name = format!("{schema}.{table}_{day}");
        for sql in [
            format!("DELETE FROM {name}_new WHERE run_no = ANY ($1)"),
            format!("INSERT INTO {name}_new SELECT old.* FROM {name} old WHERE old.run_no = ANY ($1)"),
        ] {
            client.execute(&sql, &[&late]).await?;
        }
    }
    Ok(late.len())
}

/// Removes what somebody left who died over a day, and what is known of days that are gone. Nobody else retires just now.
pub(super) async fn clear(client: &Client, schema: &str) -> Result<()> {
    let rows = client
        .query(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname ~ '^flow_(executions|history)_[0-9]+_new$'",
            &[&schema.trim_matches('"')],
        )
        .await
        .map_err(fault(OP))?;
    for row in rows {
        let name: String = row.try_get(0).map_err(fault(OP))?;
        client.batch_execute(&format!("DROP TABLE {schema}.{name}")).await.map_err(fault(OP))?;
    }
    client
        .batch_execute("DELETE FROM flow_late; DELETE FROM flow_looked WHERE day NOT IN (SELECT days_1())")
        .await
        .map_err(fault(OP))
}

/// Whether others have what is locked, or were about to get it from each other.
fn is_busy(error: &Error) -> bool {
    let busy = [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED, SqlState::T_R_DEADLOCK_DETECTED];
    error.code().is_some_and(|code| busy.contains(code))
}
