//! The statement that makes a batch true, and what comes back.

use std::collections::BTreeMap;

use deadpool_postgres::Client;
use fastn_core::{Error, ErrorKind, Result, RunId};
use tokio_postgres::Statement;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::create::NewRows;
use super::database::for_now;
use super::enqueue::{EnqueueRows, Queued};
use super::fault::{fault, is_stale_plan};
use super::numbers::stored;
use super::rows::Rows;
use crate::RunNo;

const OP: &str = "commit";

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The numbers of new runs that were not created since there are runs of their ids.
    pub(super) there: Vec<RunNo>,
    /// What became of runs that were to wait, by their places among these.
    pub(super) queued: BTreeMap<usize, Queued>,
}

/// First of all, what was acknowledged must be there.
const COMMIT: &str = "SELECT no, NULL::integer, NULL::smallint, NULL::uuid FROM stands_1($1, $31) AS s (token), commit_1(
        s.token, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25,
        $26, $27, $28, $29, $30) AS c (no)";

/// One part after the other, in one transaction: what ends makes room before what comes looks for it.
const ENQUEUE: &str = " UNION ALL SELECT run_no, place, outcome, joined FROM enqueue_2(
        $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52, $53)";

pub(super) async fn statement(client: &Client, queued: &EnqueueRows<'_>) -> Result<Statement> {
    let both;
    let sql = if queued.is_empty() {
        COMMIT
    } else {
        both = [COMMIT, ENQUEUE].concat();
        &both
    };
    client.prepare_cached(sql).await.map_err(fault(OP))
}

pub(super) async fn make_true(
    client: &Client,
    statement: &Statement,
    token: u64,
    (seq, clear_from, clear_to, acknowledged): (i64, i64, i64, &[i64]),
    (new, queued): (&NewRows<'_>, &EnqueueRows<'_>),
    rows: &Rows,
) -> Result<Done, tokio_postgres::Error> {
    let token = stored(token);
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![
        &token,
        &seq,
        &clear_from,
        &clear_to,
        &rows.ended,
        &new.no,
        &new.tenant,
        &new.run,
        &new.definition,
        &new.at,
        &new.content,
        &new.input,
        &new.named,
        &new.from,
        &new.to,
        &new.plan_no,
        &new.plan_definition,
        &new.plan,
        &rows.journal_runs,
        &rows.entries,
        &rows.piece_no,
        &rows.piece_first,
        &rows.piece_count,
        &rows.piece_status,
        &rows.piece_at,
        &rows.piece_records,
        &rows.open_no,
        &rows.open_status,
        &rows.open_wake,
        &rows.closed,
        &acknowledged,
    ];
    if !queued.is_empty() {
        values.extend(queued.values());
    }
    let mut done = Done::default();
    for row in client.query(statement, &values).await? {
        let no = RunNo(row.try_get::<_, i64>(0)?.cast_unsigned());
        match (row.try_get::<_, Option<i32>>(1)?, row.try_get::<_, Option<i16>>(2)?) {
            (Some(place), outcome) => {
                let queued = match (outcome, row.try_get::<_, Option<Uuid>>(3)?) {
                    (Some(0), _) => Queued::Created(no),
                    (Some(2), _) => Queued::Taken(no),
                    (Some(joined), Some(run)) => {
                        Queued::Joined { run: RunId::from_bytes(run.into_bytes()), ready: joined == 4 }
                    }
                    _ => Queued::Exists,
                };
                done.queued.insert(usize::try_from(place - 1).unwrap_or(usize::MAX), queued);
            }
            (None, _) => done.there.push(no),
        }
    }
    Ok(done)
}

/// Makes an error ours, and sees to it that trying again is not trying the same.
pub(super) fn told(client: &Client, new: &NewRows<'_>, error: tokio_postgres::Error) -> Error {
    if is_stale_plan(&error) {
        client.statement_cache.clear();
    }
    match error.code() {
        // Somebody's transaction that has not ended is about to create a run of the same id.
        Some(&SqlState::LOCK_NOT_AVAILABLE) if new.named.contains(&true) => {
            Error::new(ErrorKind::Locked, OP).caused_by(fault(OP)(error))
        }
        // Rights are changed while programs run. No write is to blame.
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => for_now(fault(OP)(error)),
        _ => fault(OP)(error),
    }
}
