//! Runs that are started in transactions of the host's own.

use fastn_core::plan::PlanHash;
use fastn_core::{ContentType, Payload, Result, Version, WorkflowName};
use tokio_postgres::Transaction;
use uuid::Uuid;

use super::days::range_of;
use super::fault::{corrupt, fault};
use super::numbers::run_no;
use super::options::PostgresOptions;
use super::row::{get, status};
use crate::{DefinitionKey, Existing, HostTransaction, InSchema, NewRun, RunNo, Written};

pub(super) const OP: &str = "start run in a transaction";

impl HostTransaction for &Transaction<'_> {
    async fn create(self, new: &NewRun) -> Result<Written> {
        InSchema { schema: "fastn", transaction: self }.create(new).await
    }
}

impl HostTransaction for InSchema<'_, &Transaction<'_>> {
    async fn create(self, new: &NewRun) -> Result<Written> {
        let schema = PostgresOptions::default().schema(self.schema).quoted_schema()?;
        let (from, to) = range_of(new.key.run).unzip();
        let id = Uuid::from_bytes(*new.key.run.as_bytes());
        let row = self
            .transaction
            .query_one(
                &create_sql(&schema),
                &[
                    &new.key.tenant.as_str(),
                    &id,
                    &from,
                    &to,
                    &new.definition.workflow.as_str(),
                    &i64::from(new.definition.version.0),
                    &&new.definition.shape.0[..],
                    &new.plan.as_deref(),
                    &new.created_at.as_micros(),
                    &content_of(new),
                    &&new.input.bytes()[..],
                ],
            )
            .await
            .map_err(fault(OP))?;
        let no = run_no(get(&row, 0)?)?;
        if get(&row, 1)? {
            return Ok(Written::Created(no));
        }
        let row =
            self.transaction.query_one(&existing_sql(&schema), &[&get::<i64>(&row, 0)?]).await.map_err(fault(OP))?;
        existing(
            no,
            &Found {
                workflow: get(&row, 0)?,
                version: get(&row, 1)?,
                shape: get(&row, 2)?,
                status: get(&row, 3)?,
                content: get(&row, 4)?,
                input: get(&row, 5)?,
            },
        )
    }
}

/// What is there instead, as it is stored.
pub(super) struct Found {
    pub(super) workflow: String,
    pub(super) version: i64,
    pub(super) shape: Vec<u8>,
    pub(super) status: i16,
    pub(super) content: Option<Vec<u8>>,
    pub(super) input: Vec<u8>,
}

pub(super) fn existing(no: RunNo, found: &Found) -> Result<Written> {
    let text = |name: &Option<Vec<u8>>| match name {
        None => Ok(ContentType::Json),
        Some(name) => String::from_utf8(name.clone()).map(|name| ContentType::from(name.as_str())),
    };
    let wrong = |e: String| corrupt(OP, e);
    let definition = DefinitionKey {
        workflow: WorkflowName::new(&found.workflow).map_err(|e| wrong(e.to_string()))?,
        version: Version(u32::try_from(found.version).map_err(|e| wrong(e.to_string()))?),
        shape: PlanHash(<[u8; 32]>::try_from(&found.shape[..]).map_err(|_| wrong("a shape has 32 bytes".to_owned()))?),
    };
    let content = text(&found.content).map_err(|e| wrong(e.to_string()))?;
    let input = Payload::new(content, found.input.clone());
    Ok(Written::Exists(Box::new(Existing { no, definition, input, status: status(found.status)? })))
}

pub(super) fn content_of(new: &NewRun) -> Option<&[u8]> {
    Some(new.input.content())
        .filter(|content| **content != ContentType::Json)
        .map(|content| content.as_str().as_bytes())
}

pub(super) fn create_sql(schema: &str) -> String {
    format!("SELECT run_no, made FROM {schema}.create_run_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
}

pub(super) fn existing_sql(schema: &str) -> String {
    format!(
        "SELECT d.workflow, d.version, d.shape, coalesce(
             (SELECT h.status FROM {schema}.flow_history h WHERE h.run_no = e.run_no AND h.status IS NOT NULL LIMIT 1),
             (SELECT o.status FROM {schema}.flow_open o WHERE o.run_no = e.run_no), 1::smallint), e.input_type, e.input
         FROM {schema}.flow_executions e JOIN {schema}.flow_definitions d ON d.def_no = e.def_no WHERE e.run_no = $1"
    )
}
