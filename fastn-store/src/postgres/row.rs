//! Runs as rows.

use fastn_core::plan::PlanHash;
use fastn_core::{ContentType, Payload, Result, RunId, TenantId, Timestamp, Version, WorkflowName};
use tokio_postgres::Row;
use tokio_postgres::types::FromSqlOwned;
use uuid::Uuid;

use super::fault::{corrupt, fault};
use super::numbers::{run_no, unsigned};
use crate::{DefinitionKey, RunKey, RunStatus, RunSummary};

const OP: &str = "read run";

/// What [`summary`] reads. A run without a row in `flow_open` that has not ended is in the hands of who created it.
pub(super) const COLUMNS: &str = "e.run_no, t.tenant, e.run_id, d.workflow, d.version, d.shape,
    coalesce(h.status, o.status, 1::smallint), e.created_at, h.finished_at,
    CASE WHEN h.status IS NULL THEN o.wake_at END, CASE WHEN h.status IS NULL THEN l.token END";

/// What [`input`] reads, behind those. A run that gathers items has no input of its own yet.
pub(super) const INPUT: &str =
    ", e.input_type, CASE WHEN length(e.input) > 0 THEN e.input ELSE coalesce(list_1(e.run_no), e.input) END";

/// Where these columns come from, beside `flow_executions e`.
pub(super) const BESIDE: &str = "
    JOIN flow_definitions d ON d.def_no = e.def_no
    JOIN flow_tenants t ON t.tenant_no = e.tenant_no
    LEFT JOIN flow_open o ON o.run_no = e.run_no
    LEFT JOIN LATERAL (
        SELECT status, finished_at FROM flow_history WHERE run_no = e.run_no AND status IS NOT NULL LIMIT 1
    ) h ON true
    LEFT JOIN flow_leases l ON l.token = coalesce(o.holder, e.creator) AND NOT l.ended ";

/// A run without its records.
pub(super) fn summary(row: &Row) -> Result<RunSummary> {
    let tenant = TenantId::new(get::<String>(row, 1)?).map_err(|e| corrupt(OP, e.to_string()))?;
    let workflow = WorkflowName::new(get::<String>(row, 3)?).map_err(|e| corrupt(OP, e.to_string()))?;
    let version = u32::try_from(get::<i64>(row, 4)?).map_err(|e| corrupt(OP, e.to_string()))?;
    let shape = <[u8; 32]>::try_from(get::<Vec<u8>>(row, 5)?).map_err(|_| corrupt(OP, "a shape has 32 bytes"))?;
    Ok(RunSummary {
        key: RunKey { tenant, run: RunId::from_bytes(get::<Uuid>(row, 2)?.into_bytes()) },
        no: run_no(get(row, 0)?)?,
        definition: DefinitionKey { workflow, version: Version(version), shape: PlanHash(shape) },
        status: status(get(row, 6)?)?,
        created_at: Timestamp::from_micros(get(row, 7)?),
        finished_at: get::<Option<i64>>(row, 8)?.map(Timestamp::from_micros),
        wake_at: get::<Option<i64>>(row, 9)?.map(Timestamp::from_micros),
        holder: get::<Option<i64>>(row, 10)?.map(unsigned).transpose()?,
    })
}

/// What a run was given.
pub(super) fn input(row: &Row) -> Result<Payload> {
    let content = match get::<Option<Vec<u8>>>(row, 11)? {
        None => ContentType::Json,
        Some(name) => ContentType::from(String::from_utf8(name).map_err(|e| corrupt(OP, e.to_string()))?.as_str()),
    };
    Ok(Payload::new(content, get::<Vec<u8>>(row, 12)?))
}

/// A status from its stored number.
pub(super) fn status(code: i16) -> Result<RunStatus> {
    let known = u8::try_from(code).ok().and_then(RunStatus::from_code);
    known.ok_or_else(|| corrupt(OP, format!("there is no status {code}")))
}

/// A column.
pub(super) fn get<T: FromSqlOwned>(row: &Row, column: usize) -> Result<T> {
    row.try_get(column).map_err(fault(OP))
}
