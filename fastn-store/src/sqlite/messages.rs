//! Messages for runs.

use bytes::Bytes;
use fastn_core::{Result, RunId, TenantId, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::connection::transact;
use super::fault::{corrupt, fault};
use super::lease;
use super::row::{get, status, stored};
use super::state::State;
use crate::standing::fenced;
use crate::{Message, MessageNo, ReceiveAsk, Received, RunKey, Sent};

/// Takes messages.
///
/// # Errors
/// As [`Mailbox::send`](crate::Mailbox::send).
pub(super) fn send(conn: &Connection, messages: &[Message]) -> Result<Vec<Sent>> {
    transact(conn, "send messages", |conn| messages.iter().map(|message| put(conn, message)).collect())
}

fn put(conn: &Connection, message: &Message) -> Result<Sent> {
    const OP: &str = "send messages";
    let run: Option<(i64, u8)> = conn
        .prepare_cached(
            "SELECT run_no, status FROM flow_executions
             WHERE tenant_no = (SELECT tenant_no FROM flow_tenants WHERE tenant = ?1) AND run_id = ?2",
        )
        .and_then(|mut select| {
            let key = (message.run.tenant.as_str(), message.run.run.as_bytes());
            select.query_row(key, |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(fault(OP))?;
    let Some((run, code)) = run else { return Ok(Sent::NotFound) };
    let known = conn
        .prepare_cached("SELECT 1 FROM flow_messages WHERE run_no = ?1 AND id = ?2")
        .and_then(|mut select| select.exists((run, message.id)))
        .map_err(fault(OP))?;
    if known {
        return Ok(Sent::Known);
    }
    let status = status(code)?;
    if status.is_final() {
        return Ok(Sent::Ended(status));
    }
    conn.prepare_cached("INSERT INTO flow_messages (run_no, id, sent_at, body) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut insert| insert.execute((run, message.id, message.sent_at.as_micros(), &message.body[..])))
        .map_err(fault(OP))?;
    Ok(Sent::Accepted)
}

/// What is received, and the numbers of messages whose runs have ended.
pub(super) type Page = (Vec<Received>, Vec<MessageNo>);

/// Gives the messages for runs that the lease holds.
///
/// # Errors
/// As [`Mailbox::receive`](crate::Mailbox::receive).
pub(super) fn receive(conn: &Connection, ask: &ReceiveAsk) -> Result<Page> {
    const OP: &str = "receive messages";
    let in_force: Option<i64> = conn
        .prepare_cached("SELECT token FROM lease WHERE ended = 0")
        .and_then(|mut select| select.query_row([], |row| row.get(0)).optional())
        .map_err(fault(OP))?;
    let lease = stored(ask.lease);
    if in_force != Some(lease) {
        return Err(fenced(OP, ask.lease));
    }
    let mut select = conn
        .prepare_cached(
            "SELECT m.message_no, m.id, m.sent_at, m.body, t.tenant, e.run_id, e.holder, e.finished_at IS NOT NULL
             FROM flow_messages m INDEXED BY flow_messages_waiting
             CROSS JOIN flow_executions e ON e.run_no = m.run_no
             CROSS JOIN flow_tenants t ON t.tenant_no = e.tenant_no
             WHERE m.body IS NOT NULL AND m.message_no > ?1 ORDER BY m.message_no",
        )
        .map_err(fault(OP))?;
    let mut rows = select.query([ask.after.map_or(0, |no| stored(no.0))]).map_err(fault(OP))?;
    let limit = usize::try_from(ask.limit).unwrap_or(usize::MAX);
    let (mut page, mut dead) = (Vec::new(), Vec::new());
    while page.len() < limit
        && let Some(row) = rows.next().map_err(fault(OP))?
    {
        let no = MessageNo(get::<i64>(row, 0)?.cast_unsigned());
        if get(row, 7)? {
            dead.push(no);
        } else if get::<i64>(row, 6)? == lease {
            let tenant = TenantId::new(get::<String>(row, 4)?).map_err(|e| corrupt(OP, e.to_string()))?;
            let message = Message {
                id: get(row, 1)?,
                run: RunKey { tenant, run: RunId::from_bytes(get(row, 5)?) },
                body: Bytes::from(get::<Vec<u8>>(row, 3)?),
                sent_at: Timestamp::from_micros(get(row, 2)?),
            };
            page.push(Received { no, message });
        }
    }
    Ok((page, dead))
}

/// Gives what a run that has not ended has not acknowledged.
pub(super) fn unread(conn: &Connection, run: &RunKey) -> Result<Vec<Message>> {
    const OP: &str = "look at messages";
    let mut select = conn
        .prepare_cached(
            "SELECT m.id, m.sent_at, m.body FROM flow_executions e CROSS JOIN flow_messages m ON m.run_no = e.run_no
             WHERE e.tenant_no = (SELECT tenant_no FROM flow_tenants WHERE tenant = ?1) AND e.run_id = ?2
                 AND e.finished_at IS NULL AND m.body IS NOT NULL ORDER BY m.message_no",
        )
        .map_err(fault(OP))?;
    let mut rows = select.query((run.tenant.as_str(), run.run.as_bytes())).map_err(fault(OP))?;
    let mut unread = Vec::new();
    while let Some(row) = rows.next().map_err(fault(OP))? {
        unread.push(Message {
            id: get(row, 0)?,
            run: run.clone(),
            body: Bytes::from(get::<Vec<u8>>(row, 2)?),
            sent_at: Timestamp::from_micros(get(row, 1)?),
        });
    }
    Ok(unread)
}

/// Forgets messages under a lease, but for their ids.
///
/// # Errors
/// As [`Mailbox::acknowledge`](crate::Mailbox::acknowledge).
pub(super) fn acknowledge(conn: &Connection, state: &State, lease: u64, messages: &[MessageNo]) -> Result<()> {
    const OP: &str = "acknowledge messages";
    transact(conn, OP, |conn| {
        lease::check(conn, state, OP, lease)?;
        forget(conn, OP, stored(lease), messages)
    })
}

/// Forgets messages whose runs have ended, but for their ids.
///
/// # Errors
/// Those of SQLite.
pub(super) fn bury(conn: &Connection, messages: &[MessageNo]) -> Result<()> {
    const OP: &str = "forget messages";
    // Nobody's: no lease has this number.
    transact(conn, OP, |conn| forget(conn, OP, -1, messages))
}

fn forget(conn: &Connection, op: &'static str, lease: i64, messages: &[MessageNo]) -> Result<()> {
    let mut update = conn
        .prepare_cached(
            "UPDATE flow_messages SET body = NULL WHERE message_no = ?1 AND EXISTS (
                 SELECT 1 FROM flow_executions e
                 WHERE e.run_no = flow_messages.run_no AND (e.holder = ?2 OR e.finished_at IS NOT NULL))",
        )
        .map_err(fault(op))?;
    messages.iter().try_for_each(|no| update.execute((stored(no.0), lease)).map(drop)).map_err(fault(op))
}
