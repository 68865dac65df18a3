//! What only looks.

use deadpool_postgres::{Client, GenericClient};
use fastn_core::{Result, TenantId};
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row};
use uuid::Uuid;

use super::days::range_of;
use super::fault::fault;
use super::fold::Tails;
use super::numbers::{stored, unsigned};
use super::row::{BESIDE, COLUMNS, INPUT, get, input, summary};
use crate::journal::Pieces;
use crate::{DefinitionKey, Existing, History, Page, RunKey, RunNo, RunQuery, RunStatus, RunSummary};

/// Reads a run as of one moment.
pub(super) async fn read(client: &mut Client, key: &RunKey) -> Result<Option<History>> {
    const OP: &str = "read run";
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(fault(OP))?;
    // Before the moment as of which it reads: a day that is retired is another table from one moment to the next, and what is
    // in it was written later.
    transaction
        .batch_execute("LOCK TABLE ONLY flow_executions, ONLY flow_history IN ACCESS SHARE MODE")
        .await
        .map_err(fault(OP))?;
    let Some(row) = find(&transaction, key).await? else { return Ok(None) };
    let (run, input) = (summary(&row)?, input(&row)?);
    let mut pieces = pieces(&transaction, run.no).await?;
    // What a run that ended or waits has in a journal was moved when it did.
    if matches!(run.status, RunStatus::Pending | RunStatus::Running) {
        read_tail(&transaction, run.no, &mut pieces).await?;
    }
    transaction.commit().await.map_err(fault(OP))?;
    Ok(Some(History { run, input, records: pieces.records()? }))
}

/// What is there instead of a run that was not created.
pub(super) async fn existing(client: &Client, key: &RunKey) -> Result<Option<Existing>> {
    let Some(row) = find(client, key).await? else { return Ok(None) };
    let (run, input) = (summary(&row)?, input(&row)?);
    Ok(Some(Existing { no: run.no, definition: run.definition, input, status: run.status }))
}

/// A run by its number.
pub(super) async fn existing_no(client: &Client, no: RunNo) -> Result<Option<(RunKey, Existing)>> {
    const OP: &str = "find run";
    let sql = format!("SELECT {COLUMNS}{INPUT} FROM flow_executions e {BESIDE} WHERE e.run_no = $1");
    let Some(row) = client.query_opt(&sql, &[&stored(no.0)]).await.map_err(fault(OP))? else { return Ok(None) };
    let (run, input) = (summary(&row)?, input(&row)?);
    Ok(Some((run.key, Existing { no, definition: run.definition, input, status: run.status })))
}

/// Finds a run by its id: where the id says that it is, and by the keys.
async fn find(client: &impl GenericClient, key: &RunKey) -> Result<Option<Row>> {
    const OP: &str = "find run";
    let (tenant, id) = (key.tenant.as_str(), Uuid::from_bytes(*key.run.as_bytes()));
    let tenant_no = "(SELECT tenant_no FROM flow_tenants WHERE tenant = $1)";
    if let Some((from, to)) = range_of(key.run) {
        let sql = format!(
            "SELECT {COLUMNS}{INPUT} FROM flow_executions e {BESIDE}
             WHERE e.tenant_no = {tenant_no} AND e.run_id = $2 AND e.run_no >= $3 AND e.run_no < $4"
        );
        let found = client.query_opt(&sql, &[&tenant, &id, &from, &to]).await.map_err(fault(OP))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    let sql = format!(
        "SELECT {COLUMNS}{INPUT} FROM flow_executions e {BESIDE}
         WHERE e.run_no = (SELECT run_no FROM flow_keys WHERE tenant_no = {tenant_no} AND run_id = $2)"
    );
    client.query_opt(&sql, &[&tenant, &id]).await.map_err(fault(OP))
}

/// The records of a run in `flow_history`.
async fn pieces(client: &impl GenericClient, run: RunNo) -> Result<Pieces> {
    let rows = client
        .query(
            "SELECT first_seq, count, records FROM flow_history WHERE run_no = $1 ORDER BY first_seq",
            &[&stored(run.0)],
        )
        .await
        .map_err(fault("read history"))?;
    let mut pieces = Pieces::default();
    for row in rows {
        pieces.add(unsigned(get(&row, 0)?)?, unsigned(get(&row, 1)?)?, &get::<Vec<u8>>(&row, 2)?)?;
    }
    Ok(pieces)
}

/// Adds what a journal has of a run.
async fn read_tail(client: &impl GenericClient, run: RunNo, pieces: &mut Pieces) -> Result<()> {
    let rows = client
        .query(
            "SELECT j.entries FROM flow_executions e LEFT JOIN flow_open o ON o.run_no = e.run_no
             JOIN flow_journal j ON j.token = coalesce(o.holder, e.creator)
             WHERE e.run_no = $1 AND j.runs @> ARRAY[$1::bigint] ORDER BY j.seq",
            &[&stored(run.0)],
        )
        .await
        .map_err(fault("read journal"))?;
    for row in rows {
        Tails::scan(&get::<Vec<u8>>(&row, 0)?, run, pieces)?;
    }
    Ok(())
}

/// Reads runs that were just claimed. One whose records cannot be read is an error of its own.
pub(super) async fn read_all(client: &impl GenericClient, runs: &[i64]) -> Result<Vec<(RunNo, Result<History>)>> {
    const OP: &str = "read run";
    let sql = format!(
        "SELECT {COLUMNS}{INPUT} FROM unnest($1::bigint[]) AS asked (no)
         JOIN flow_executions e ON e.run_no = asked.no {BESIDE} ORDER BY e.run_no"
    );
    let rows = client.query(&sql, &[&runs]).await.map_err(fault(OP))?;
    let pieces = client
        .query(
            "SELECT run_no, first_seq, count, records FROM flow_history WHERE run_no = ANY ($1) ORDER BY run_no, first_seq",
            &[&runs],
        )
        .await
        .map_err(fault("read history"))?;
    let mut pieces = pieces.iter().peekable();
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let no: i64 = get(row, 0)?;
        let mut own = Vec::new();
        while let Some(piece) = pieces.next_if(|piece| piece.try_get::<_, i64>(0).is_ok_and(|of| of <= no)) {
            own.push(piece);
        }
        found.push((RunNo(no.cast_unsigned()), history(row, &own)));
    }
    Ok(found)
}

fn history(row: &Row, own: &[&Row]) -> Result<History> {
    let mut pieces = Pieces::default();
    for piece in own {
        pieces.add(unsigned(get(piece, 1)?)?, unsigned(get(piece, 2)?)?, &get::<Vec<u8>>(piece, 3)?)?;
    }
    Ok(History { run: summary(row)?, input: input(row)?, records: pieces.records()? })
}

/// Reads the plan of a definition.
pub(super) async fn plan(client: &Client, tenant: &TenantId, key: &DefinitionKey) -> Result<Option<String>> {
    let row = client
        .query_opt(
            "SELECT plan FROM flow_definitions d JOIN flow_tenants t ON t.tenant_no = d.tenant_no
             WHERE t.tenant = $1 AND workflow = $2 AND version = $3 AND shape = $4",
            &[&tenant.as_str(), &key.workflow.as_str(), &i64::from(key.version.0), &&key.shape.0[..]],
        )
        .await
        .map_err(fault("read plan"))?;
    row.map_or(Ok(None), |row| get(&row, 0))
}

/// Lists runs, newest first.
pub(super) async fn list(client: &Client, query: &RunQuery) -> Result<Page> {
    const OP: &str = "list runs";
    let limit = if query.limit == 0 { 100 } else { usize::try_from(query.limit).unwrap_or(usize::MAX) };
    let before = query.before.map_or(i64::MAX, |no| stored(no.0));
    let more = i64::from(query.limit.max(1)).saturating_add(if query.limit == 0 { 100 } else { 1 });
    let (tenant, workflow) =
        (query.tenant.as_ref().map(TenantId::as_str), query.workflow.as_ref().map(|workflow| workflow.as_str()));
    let codes: Vec<i16> = query.status.iter().map(|status| i16::from(status.code())).collect();
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&before, &more];
    let mut conditions = vec!["e.run_no < $1".to_owned()];
    let mut ask = |condition: &str, value| {
        values.push(value);
        conditions.push(condition.replace("$?", &format!("${}", values.len())));
    };
    if let Some(tenant) = &tenant {
        ask("e.tenant_no = (SELECT tenant_no FROM flow_tenants WHERE tenant = $?)", tenant);
    }
    if let Some(workflow) = &workflow {
        ask("d.workflow = $?", workflow);
    }
    if !codes.is_empty() {
        ask("coalesce(h.status, o.status, 1) = ANY ($?::smallint[])", &codes);
    }
    let holder = query.holder.map(stored);
    if let Some(holder) = &holder {
        ask(
            "h.status IS NULL AND l.token = $? AND e.run_no IN (SELECT run_no FROM flow_open WHERE holder = $?
                 UNION SELECT unnest(runs) FROM flow_journal WHERE token = $?)",
            holder,
        );
    }
    // Where few are asked for among many, there is an index of those few, or they are all in two small places.
    let (unfinished, failed) = (
        |status: &RunStatus| !status.is_final(),
        |status: &RunStatus| status.is_final() && *status != RunStatus::Succeeded,
    );
    if !codes.is_empty() && query.status.iter().all(unfinished) {
        conditions
            .push("e.run_no IN (SELECT run_no FROM flow_open UNION SELECT unnest(runs) FROM flow_journal)".to_owned());
    } else if !codes.is_empty() && query.status.iter().all(failed) {
        conditions.push("e.run_no IN (SELECT run_no FROM flow_history WHERE status > 10)".to_owned());
    }
    let conditions = conditions.join(" AND ");
    let sql =
        format!("SELECT {COLUMNS} FROM flow_executions e {BESIDE} WHERE {conditions} ORDER BY e.run_no DESC LIMIT $2");
    let rows = client.query(&sql, &values).await.map_err(fault(OP))?;
    let runs: Vec<RunSummary> = rows.iter().take(limit).map(summary).collect::<Result<_>>()?;
    let next = runs.last().map(|run| run.no).filter(|_| rows.len() > limit);
    Ok(Page { runs, next })
}
