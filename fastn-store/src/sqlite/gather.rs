//! Items that become one run.

use fastn_core::{Result, RunId, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::definitions::DefinitionNo;
use super::fault::fault;
use super::row::{list, stored};
use crate::queue::Gathering;
use crate::{Enqueue, Join, Once, RunKey, RunNo, Written};

const OP: &str = "gather item";

/// The run that has the place of an item.
struct Placed {
    no: i64,
    state: i64,
    definition: i64,
    gathering: Option<Gathering>,
}

/// The run that has an item, since now or before, and whether it became ready; `None` if the item has to be the first of
/// another.
pub(super) fn join(
    conn: &Connection,
    number: DefinitionNo,
    new: &Enqueue,
    (once, join): (Once, &Join),
    now: Timestamp,
) -> Result<Option<(Written, bool)>> {
    if let Some(run) = known(conn, number, new, join)? {
        return Ok(Some((run, false)));
    }
    let Some(placed) = placed(conn, number, new, once)? else { return Ok(None) };
    let waits = placed.gathering.filter(|_| placed.state < 2);
    let same = placed.definition == number.definition;
    let Some(mut gathering) = waits.filter(|gathering| same && gathering.takes(new, join)) else {
        conn.prepare_cached("UPDATE flow_queued SET once_id = NULL WHERE run_no = ?1")
            .and_then(|mut update| update.execute([placed.no]))
            .map_err(fault(OP))?;
        if let Some(mut gathering) = waits {
            gathering.close(now);
            stand(conn, placed.no, &gathering, now)?;
        }
        return Ok(None);
    };
    let seq = gathering.items;
    gathering.add(new, join, now);
    stand(conn, placed.no, &gathering, now)?;
    put(conn, placed.no, seq, number, new, join)?;
    Ok(known(conn, number, new, join)?.map(|run| (run, !gathering.open)))
}

/// A run that was created begins to gather.
pub(super) fn begin(
    conn: &Connection,
    no: RunNo,
    number: DefinitionNo,
    new: &Enqueue,
    join: &Join,
    now: Timestamp,
) -> Result<()> {
    let no = stored(no.0);
    stand(conn, no, &Gathering::begin(new, join, now), now)?;
    put(conn, no, 0, number, new, join)
}

/// A run that has given its place up waits no longer, if it is one that gathers.
pub(super) fn close(conn: &Connection, no: i64, now: Timestamp) -> Result<()> {
    conn.prepare_cached(
        "UPDATE flow_queued SET state = 1, ready_at = min(ready_at, ?2), rank = rank - ready_at + min(ready_at, ?2)
         WHERE run_no = ?1 AND items IS NOT NULL AND state < 2",
    )
    .and_then(|mut update| update.execute((no, now.as_micros())))
    .map_err(fault(OP))
    .map(drop)
}

/// Gives a run that gathers the list of its items: it gathers no more. Any other is left as it is.
pub(super) fn give_list(conn: &Connection, no: i64) -> Result<()> {
    let given = conn
        .prepare_cached(concat!(
            "UPDATE flow_executions SET input = ",
            list!("?1"),
            " WHERE run_no = ?1 AND EXISTS (
                 SELECT 1 FROM flow_queued WHERE run_no = ?1 AND items IS NOT NULL AND state < 2)"
        ))
        .and_then(|mut update| update.execute([no]))
        .map_err(fault(OP))?;
    if given > 0 {
        conn.prepare_cached("UPDATE flow_batched SET input = NULL WHERE run_no = ?1")
            .and_then(|mut update| update.execute([no]))
            .map_err(fault(OP))?;
    }
    Ok(())
}

/// The run that a known item is in.
fn known(conn: &Connection, number: DefinitionNo, new: &Enqueue, join: &Join) -> Result<Option<Written>> {
    let run: Option<[u8; 16]> = conn
        .prepare_cached(
            "SELECT e.run_id FROM flow_batched b CROSS JOIN flow_executions e ON e.run_no = b.run_no
             WHERE b.queue = ?1 AND b.tenant_no = ?2 AND b.item = ?3",
        )
        .and_then(|mut select| {
            select.query_row((new.queue.as_str(), number.tenant, join.item), |row| row.get(0)).optional()
        })
        .map_err(fault(OP))?;
    let key = |run| RunKey { tenant: new.new.key.tenant.clone(), run: RunId::from_bytes(run) };
    Ok(run.map(|run| Written::Joined(Box::new(key(run)))))
}

fn placed(conn: &Connection, number: DefinitionNo, new: &Enqueue, once: Once) -> Result<Option<Placed>> {
    conn.prepare_cached(
        "SELECT run_no, state, def_no, ready_at, rank, cost, items, bytes FROM flow_queued
         WHERE queue = ?1 AND tenant_no = ?2 AND once_id = ?3",
    )
    .and_then(|mut select| {
        let placed = |row: &rusqlite::Row<'_>| {
            let (ready_at, rank, cost) = (Timestamp::from_micros(row.get(3)?), row.get(4)?, row.get(5)?);
            let items: Option<i64> = row.get(6)?;
            let bytes = row.get::<_, Option<i64>>(7)?.unwrap_or_default().cast_unsigned();
            // One that has a place has room still.
            let gathering =
                items.map(i64::cast_unsigned).map(|items| Gathering { items, bytes, cost, ready_at, rank, open: true });
            Ok(Placed { no: row.get(0)?, state: row.get(1)?, definition: row.get(2)?, gathering })
        };
        select.query_row((new.queue.as_str(), number.tenant, once.id), placed).optional()
    })
    .map_err(fault(OP))
}

/// Writes down how a run that gathers stands.
fn stand(conn: &Connection, no: i64, gathering: &Gathering, now: Timestamp) -> Result<()> {
    let Gathering { items, bytes, cost, ready_at, rank, open } = *gathering;
    conn.prepare_cached(
        "UPDATE flow_queued SET state = max(state, ?2), ready_at = ?3, rank = ?4, cost = ?5, items = ?6, bytes = ?7,
             once_id = CASE WHEN ?8 THEN once_id END
         WHERE run_no = ?1",
    )
    .and_then(|mut update| {
        let state = i64::from(ready_at <= now);
        update.execute((no, state, ready_at.as_micros(), rank, cost, stored(items), stored(bytes), open))
    })
    .map_err(fault(OP))
    .map(drop)
}

fn put(conn: &Connection, no: i64, seq: u64, number: DefinitionNo, new: &Enqueue, join: &Join) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO flow_batched (run_no, seq, queue, tenant_no, item, input) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .and_then(|mut insert| {
        let input = &new.new.input.bytes()[..];
        insert.execute((no, stored(seq), new.queue.as_str(), number.tenant, join.item, input))
    })
    .map_err(fault(OP))
    .map(drop)
}
