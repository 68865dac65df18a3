//! Runs that are started in transactions of the host's own.

use fastn_core::plan::PlanHash;
use fastn_core::{ContentType, Error, Payload, Result, RunId, TenantId, Version, WorkflowName};
use tokio_postgres::{Row, Transaction};
use uuid::Uuid;

use super::fault::{corrupt, fault};
use super::numbers::run_no;
use super::options::PostgresOptions;
use super::row::{get, status};
use super::values::{Value, of_run, of_waiting};
use crate::queue::check_item;
use crate::{DefinitionKey, Enqueue, Existing, HostTransaction, InSchema, NewRun, RunKey, RunNo, Taken, Written};

pub(super) const OP: &str = "start run in a transaction";

impl HostTransaction for &Transaction<'_> {
    async fn create(self, new: &NewRun) -> Result<Written> {
        InSchema { schema: "fastn", transaction: self }.create(new).await
    }

    async fn enqueue(self, new: &Enqueue) -> Result<Written> {
        InSchema { schema: "fastn", transaction: self }.enqueue(new).await
    }
}

impl HostTransaction for InSchema<'_, &Transaction<'_>> {
    async fn create(self, new: &NewRun) -> Result<Written> {
        let schema = PostgresOptions::default().schema(self.schema).quoted_schema()?;
        let row = ask(self.transaction, &create_sql(&schema), &of_run(new)).await?;
        let number: i64 = get(&row, 0)?;
        if get(&row, 1)? {
            return Ok(Written::Created(run_no(number)?));
        }
        let row = ask(self.transaction, &existing_sql(&schema), &[Value::Number(number)]).await?;
        Ok(Written::Exists(Box::new(found(&row)?.existing(run_no(number)?)?)))
    }

    async fn enqueue(self, enqueue: &Enqueue) -> Result<Written> {
        let schema = PostgresOptions::default().schema(self.schema).quoted_schema()?;
        check_item(enqueue)?;
        let row = ask(self.transaction, &enqueue_sql(&schema), &of_waiting(enqueue)).await?;
        let (number, outcome): (i64, i16) = (get(&row, 0)?, get(&row, 1)?);
        if outcome == 0 {
            return Ok(Written::Created(run_no(number)?));
        }
        if let Some(run) = get::<Option<Uuid>>(&row, 2)? {
            return Ok(joined(enqueue, run));
        }
        let row = ask(self.transaction, &existing_sql(&schema), &[Value::Number(number)]).await?;
        found(&row)?.instead(run_no(number)?, outcome)
    }
}

async fn ask(transaction: &Transaction<'_>, sql: &str, values: &[Value<'_>]) -> Result<Row> {
    let values: Vec<_> = values.iter().map(Value::to_sql).collect();
    transaction.query_one(sql, &values).await.map_err(fault(OP))
}

fn found(row: &Row) -> Result<Found> {
    Ok(Found {
        workflow: get(row, 0)?,
        version: get(row, 1)?,
        shape: get(row, 2)?,
        status: get(row, 3)?,
        content: get(row, 4)?,
        input: get(row, 5)?,
        tenant: get(row, 6)?,
        run: get(row, 7)?,
    })
}

/// What is there instead, as it is stored.
pub(super) struct Found {
    pub(super) workflow: String,
    pub(super) version: i64,
    pub(super) shape: Vec<u8>,
    pub(super) status: i16,
    pub(super) content: Option<Vec<u8>>,
    pub(super) input: Vec<u8>,
    pub(super) tenant: String,
    pub(super) run: Uuid,
}

impl Found {
    pub(super) fn existing(self, no: RunNo) -> Result<Existing> {
        let content = match self.content {
            None => ContentType::Json,
            Some(name) => ContentType::from(String::from_utf8(name).map_err(wrong)?.as_str()),
        };
        let definition = DefinitionKey {
            workflow: WorkflowName::new(&self.workflow).map_err(wrong)?,
            version: Version(u32::try_from(self.version).map_err(wrong)?),
            shape: PlanHash(<[u8; 32]>::try_from(&self.shape[..]).map_err(wrong)?),
        };
        let input = Payload::new(content, self.input);
        Ok(Existing { no, definition, input, status: status(self.status)? })
    }

    /// The answer to who would have enqueued a run, by what `enqueue_2` calls it.
    pub(super) fn instead(self, no: RunNo, outcome: i16) -> Result<Written> {
        if outcome == 1 {
            return Ok(Written::Exists(Box::new(self.existing(no)?)));
        }
        let tenant = TenantId::new(&self.tenant).map_err(wrong)?;
        let key = RunKey { tenant, run: RunId::from_bytes(*self.run.as_bytes()) };
        Ok(Written::Taken(Box::new(Taken { key, run: self.existing(no)? })))
    }
}

fn wrong(why: impl std::fmt::Display) -> Error {
    corrupt(OP, why.to_string())
}

/// The answer to whose item is in this run.
pub(super) fn joined(item: &Enqueue, run: Uuid) -> Written {
    Written::Joined(Box::new(RunKey { tenant: item.new.key.tenant.clone(), run: RunId::from_bytes(run.into_bytes()) }))
}

pub(super) fn create_sql(schema: &str) -> String {
    format!("SELECT run_no, made FROM {schema}.create_run_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
}

/// As [`create_sql`], for a run that is to wait.
pub(super) fn enqueue_sql(schema: &str) -> String {
    format!(
        "SELECT run_no, outcome, joined FROM {schema}.enqueue_2(
             NULL, ARRAY[$1::text], ARRAY[$2::uuid], ARRAY[$3::bigint], ARRAY[$4::bigint], ARRAY[$5::text], ARRAY[$6::bigint],
             ARRAY[$7::bytea], ARRAY[$8::text], ARRAY[$9::bigint], ARRAY[$10::bytea], ARRAY[$11::bytea], ARRAY[$12::text],
             ARRAY[$13::text], ARRAY[$14::bigint], ARRAY[$15::bigint], ARRAY[$16::bigint], ARRAY[$17::uuid],
             ARRAY[$18::bigint], ARRAY[$19::uuid], ARRAY[$20::bigint], ARRAY[$21::bigint])"
    )
}

pub(super) fn existing_sql(schema: &str) -> String {
    format!(
        "SELECT d.workflow, d.version, d.shape, coalesce(
             (SELECT h.status FROM {schema}.flow_history h WHERE h.run_no = e.run_no AND h.status IS NOT NULL LIMIT 1),
             (SELECT o.status FROM {schema}.flow_open o WHERE o.run_no = e.run_no), 1::smallint), e.input_type, e.input,
             t.tenant, e.run_id
         FROM {schema}.flow_executions e JOIN {schema}.flow_definitions d ON d.def_no = e.def_no
         JOIN {schema}.flow_tenants t ON t.tenant_no = e.tenant_no WHERE e.run_no = $1"
    )
}
