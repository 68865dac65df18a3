//! Rows of `flow_executions`, there and back.

use fastn_core::plan::PlanHash;
use fastn_core::{ContentType, Payload, Result, RunId, TenantId, Timestamp, Version, WorkflowName};
use rusqlite::Row;
use rusqlite::types::FromSql;

use super::fault::{corrupt, fault};
use crate::{DefinitionKey, RunKey, RunNo, RunStatus, RunSummary};

const OP: &str = "read run";

/// The list that a run which gathers would be given now, as an expression about its number.
macro_rules! list {
    ($run_no:literal) => {
        concat!(
            "(SELECT CAST('[' || group_concat(i.input, ',') || ']' AS BLOB) FROM (
                 SELECT input FROM flow_batched WHERE run_no = ",
            $run_no,
            " ORDER BY seq) i)"
        )
    };
}
pub(super) use list;

/// Selects what [`summary`] reads, and behind it the two columns that [`input`] reads.
///
/// CROSS JOIN keeps SQLite to this order: a list is read from the runs, newest first, and stops when it is full.
macro_rules! select_runs {
    ($rest:literal) => {
        concat!(
            select_runs!(),
            // A run that gathers items has no input of its own yet.
            ", e.input_type, CASE WHEN length(e.input) > 0 THEN e.input ELSE coalesce(",
            crate::sqlite::row::list!("e.run_no"),
            ", e.input) END ",
            select_runs!(from),
            $rest
        )
    };
    () => {
        "SELECT e.run_no, t.tenant, e.run_id, d.workflow, d.version, d.shape, e.status, e.created_at, e.finished_at,
             e.wake_at,
             CASE WHEN e.finished_at IS NULL AND l.ended = 0 AND e.holder = l.token THEN l.token END"
    };
    (from) => {
        " FROM flow_executions e
             CROSS JOIN flow_definitions d ON d.def_no = e.def_no
             CROSS JOIN flow_tenants t ON t.tenant_no = e.tenant_no
             CROSS JOIN lease l ON l.one = 1 "
    };
}
pub(super) use select_runs;

/// A run without its records, from a row of [`select_runs`].
pub(super) fn summary(row: &Row<'_>) -> Result<RunSummary> {
    let tenant: String = get(row, 1)?;
    let tenant = TenantId::new(tenant).map_err(|e| corrupt(OP, e.to_string()))?;
    Ok(RunSummary {
        key: RunKey { tenant, run: RunId::from_bytes(get(row, 2)?) },
        no: run_no(get(row, 0)?),
        definition: definition(get(row, 3)?, get(row, 4)?, get(row, 5)?)?,
        status: status(get(row, 6)?)?,
        created_at: Timestamp::from_micros(get(row, 7)?),
        finished_at: get::<Option<i64>>(row, 8)?.map(Timestamp::from_micros),
        wake_at: get::<Option<i64>>(row, 9)?.map(Timestamp::from_micros),
        holder: get::<Option<i64>>(row, 10)?.map(i64::cast_unsigned),
    })
}

/// What a run was given, from a row of [`select_runs`].
pub(super) fn input(row: &Row<'_>) -> Result<Payload> {
    let content = get::<Option<String>>(row, 11)?.map_or(ContentType::Json, |name| ContentType::from(name.as_str()));
    Ok(Payload::new(content, get::<Vec<u8>>(row, 12)?))
}

/// A definition from its columns.
pub(super) fn definition(workflow: String, version: u32, shape: [u8; 32]) -> Result<DefinitionKey> {
    let workflow = WorkflowName::new(workflow).map_err(|e| corrupt(OP, e.to_string()))?;
    Ok(DefinitionKey { workflow, version: Version(version), shape: PlanHash(shape) })
}

/// A status from its stored number.
pub(super) fn status(code: u8) -> Result<RunStatus> {
    RunStatus::from_code(code).ok_or_else(|| corrupt(OP, format!("there is no status {code}")))
}

/// A column.
pub(super) fn get<T: FromSql>(row: &Row<'_>, column: usize) -> Result<T> {
    row.get(column).map_err(fault(OP))
}

/// An unsigned number as SQLite keeps it. What is too large for it is larger than any that was stored.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A stored run number.
pub(super) fn run_no(number: i64) -> RunNo {
    RunNo(number.cast_unsigned())
}
