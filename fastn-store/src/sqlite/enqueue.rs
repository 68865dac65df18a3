//! New runs of queues.

use fastn_core::{Payload, Result, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::create::{Creation, create};
use super::fault::fault;
use super::gather;
use super::row::{definition, get, input, run_no, select_runs, stored, summary};
use crate::queue::{item_of, push_back, pushed_to, rank};
use crate::{Enqueue, Existing, NewRun, Taken, Written};

const OP: &str = "enqueue run";

/// Creates a run that waits, unless there is one of its id, or its place is taken. Tells also whether there may be more to
/// admit, now or later.
pub(super) fn enqueue(
    conn: &Connection,
    creation: &mut Creation<'_, '_>,
    new: &Enqueue,
    now: Timestamp,
) -> Result<(Written, bool)> {
    let number = creation.state.definitions.number(conn, &new.new.key.tenant, &new.new.definition)?;
    let item = item_of(new);
    if let Some((once, join)) = &item {
        if let Some(joined) = gather::join(conn, number, new, (*once, join), now)? {
            return Ok(joined);
        }
    } else if let Some(once) = new.once {
        let taken: Option<i64> = conn
            .prepare_cached(
                "SELECT run_no FROM flow_queued WHERE queue = ?1 AND tenant_no = ?2 AND once_id = ?3
                     AND NOT EXISTS (SELECT 1 FROM flow_executions WHERE tenant_no = ?2 AND run_id = ?4)",
            )
            .and_then(|mut select| {
                let place = (new.queue.as_str(), number.tenant, once.id, new.new.key.run.as_bytes());
                select.query_row(place, |row| row.get(0)).optional()
            })
            .map_err(fault(OP))?;
        if let Some(no) = taken
            && let Some(taken) = find_taken(conn, no, new, now)?
        {
            return Ok((Written::Taken(Box::new(taken)), true));
        }
    }
    let empty = item.map(|_| NewRun { input: Payload::json(""), ..new.new.clone() });
    let written = create(conn, creation, empty.as_ref().unwrap_or(&new.new), None, true)?;
    if let Written::Created(no) = written {
        let ready_at = now.plus(new.delay);
        conn.prepare_cached(
            "INSERT INTO flow_queued
                 (run_no, queue, key, tenant_no, def_no, state, rank, cost, enqueued_at, ready_at, once_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )
        .and_then(|mut insert| {
            insert.execute((
                stored(no.0),
                new.queue.as_str(),
                new.key.as_str(),
                number.tenant,
                number.definition,
                i64::from(ready_at <= now),
                rank(ready_at, new.priority, new.ageing),
                new.cost,
                now.as_micros(),
                ready_at.as_micros(),
                new.once.map(|once| once.id),
            ))
        })
        .map_err(fault(OP))?;
        if let Some((_, join)) = &item {
            gather::begin(conn, no, number, new, join, now)?;
        }
    }
    Ok((written, true))
}

/// The run that has taken a place, pushed back if it is to be. `None` if it has to give the place up.
fn find_taken(conn: &Connection, no: i64, new: &Enqueue, now: Timestamp) -> Result<Option<Taken>> {
    if let Some(most) = push_back(new) {
        let (fixed, enqueued_at, workflow, version, shape): (bool, i64, String, u32, [u8; 32]) = conn
            .prepare_cached(
                "SELECT q.state = 2 OR q.items IS NOT NULL, q.enqueued_at, d.workflow, d.version, d.shape
                 FROM flow_queued q JOIN flow_definitions d ON d.def_no = q.def_no WHERE q.run_no = ?1",
            )
            .and_then(|mut select| select.query_row([no], |row| row.try_into()))
            .map_err(fault(OP))?;
        if fixed || definition(workflow, version, shape)? != new.new.definition {
            conn.prepare_cached("UPDATE flow_queued SET once_id = NULL WHERE run_no = ?1")
                .and_then(|mut update| update.execute([no]))
                .map_err(fault(OP))?;
            gather::close(conn, no, now)?;
            return Ok(None);
        }
        let ready_at = pushed_to(Timestamp::from_micros(enqueued_at), now, new.delay, most);
        conn.prepare_cached("UPDATE flow_queued SET state = ?2, rank = ?3, ready_at = ?4 WHERE run_no = ?1")
            .and_then(|mut update| {
                let rank = rank(ready_at, new.priority, new.ageing);
                update.execute((no, i64::from(ready_at <= now), rank, ready_at.as_micros()))
            })
            .map_err(fault(OP))?;
        conn.prepare_cached("UPDATE flow_executions SET input_type = ?2, input = ?3 WHERE run_no = ?1")
            .and_then(|mut update| {
                update.execute((no, super::create::content_of(&new.new), &new.new.input.bytes()[..]))
            })
            .map_err(fault(OP))?;
    }
    let mut select = conn.prepare_cached(select_runs!("WHERE e.run_no = ?1")).map_err(fault(OP))?;
    let found = select.query_row([no], |row| Ok((summary(row), input(row), get::<i64>(row, 0)))).map_err(fault(OP))?;
    let (run, input, no) = (found.0?, found.1?, run_no(found.2?));
    Ok(Some(Taken { key: run.key, run: Existing { no, definition: run.definition, input, status: run.status } }))
}
