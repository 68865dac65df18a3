//! New runs.

use fastn_core::{ContentType, Result};
use rusqlite::Connection;

use super::fault::fault;
use super::hand::Hand;
use super::row::{input, run_no, select_runs, stored, summary};
use super::state::State;
use crate::{Existing, NewRun, RunStatus, Written};

const OP: &str = "commit";

/// The number of the next new run, once it was looked up in a transaction, which keeps others from taking it.
#[derive(Default)]
pub(super) struct Numbers(Option<i64>);

impl Numbers {
    fn next(&mut self, conn: &Connection) -> Result<i64> {
        let next = match self.0 {
            Some(next) => next,
            None => conn
                .prepare_cached(
                    "SELECT max(deleted, (SELECT coalesce(max(run_no), 0) FROM flow_executions)) + 1 FROM flow_numbers",
                )
                .and_then(|mut select| select.query_row([], |row| row.get(0)))
                .map_err(fault(OP))?,
        };
        self.0 = Some(next);
        Ok(next)
    }

    fn take(&mut self) {
        self.0 = self.0.and_then(|taken| taken.checked_add(1));
    }
}

/// What runs are created with.
pub(super) struct Creation<'a, 'c> {
    pub(super) hand: &'a mut Hand<'c>,
    pub(super) state: &'a mut State,
    pub(super) numbers: &'a mut Numbers,
}

/// Creates a run, or says which one has its id.
pub(super) fn create(
    conn: &Connection,
    Creation { hand, state, numbers }: &mut Creation<'_, '_>,
    new: &NewRun,
    lease: Option<u64>,
    queued: bool,
) -> Result<Written> {
    let number = state.definitions.number(conn, &new.key.tenant, &new.definition)?;
    let no = numbers.next(conn)?;
    let status = if lease.is_some() { RunStatus::Running } else { RunStatus::Pending };
    let inserted = hand
        .create()
        .and_then(|insert| {
            insert.execute((
                no,
                number.tenant,
                new.key.run.as_bytes(),
                number.definition,
                status.code(),
                stored(lease.unwrap_or(0)),
                new.created_at.as_micros(),
                content_of(new),
                &new.input.bytes()[..],
                queued,
            ))
        })
        .map_err(fault(OP))?;
    if inserted == 1 {
        numbers.take();
        if let Some(plan) = &new.plan {
            state.definitions.keep_plan(conn, number.definition, plan)?;
        }
        return Ok(Written::Created(run_no(no)));
    }
    let mut select =
        conn.prepare_cached(select_runs!("WHERE e.tenant_no = ?1 AND e.run_id = ?2")).map_err(fault(OP))?;
    let found = select
        .query_row((number.tenant, new.key.run.as_bytes()), |row| Ok((summary(row), input(row))))
        .map_err(fault(OP))?;
    let (run, input) = (found.0?, found.1?);
    Ok(Written::Exists(Box::new(Existing { no: run.no, definition: run.definition, input, status: run.status })))
}

/// The type of what a run is given, as it is stored.
pub(super) fn content_of(new: &NewRun) -> Option<&str> {
    Some(new.input.content()).filter(|content| **content != ContentType::Json).map(ContentType::as_str)
}
