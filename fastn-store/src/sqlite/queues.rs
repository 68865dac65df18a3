//! The queues of the SQLite store.

use async_trait::async_trait;
use fastn_core::{QueueKey, QueueName, Result};
use rusqlite::Connection;

use super::entries;
use super::fault::{corrupt, fault};
use super::row::get;
use super::store::SqliteStore;
use crate::queue::{QueueRules, entry_key};
use crate::{AdmitAsk, Admitted, QueueBusy, QueueCounts, Queues, Withdraw};

#[async_trait]
impl Queues for SqliteStore {
    async fn admit(&self, ask: AdmitAsk) -> Result<Admitted> {
        self.writer.ask(move |writer| writer.admit(&ask)).await
    }

    async fn withdraw(&self, ask: Withdraw) -> Result<bool> {
        self.writer.ask(move |writer| writer.withdraw(&ask)).await
    }

    async fn waiting(&self) -> Result<Vec<QueueName>> {
        self.reader.ask(|reader| waiting(reader.conn())).await
    }

    async fn counts(&self, queue: &QueueName, keys: u32) -> Result<QueueCounts> {
        let queue = queue.clone();
        self.reader.ask(move |reader| counts(reader.conn(), &queue, keys)).await
    }
}

fn counts(conn: &Connection, queue: &QueueName, keys: u32) -> Result<QueueCounts> {
    const OP: &str = "count runs of queue";
    let mut select = conn
        .prepare_cached(
            "SELECT key, sum(state < 2) AS waiting, sum(state = 2) AS running FROM flow_queued WHERE queue = ?1
             GROUP BY key ORDER BY waiting DESC, running DESC, key",
        )
        .map_err(fault(OP))?;
    let mut rows = select.query([queue.as_str()]).map_err(fault(OP))?;
    let (mut counts, most) = (QueueCounts::default(), usize::try_from(keys).unwrap_or(usize::MAX));
    while let Some(row) = rows.next().map_err(fault(OP))? {
        let (waiting, running) = (get::<i64>(row, 1)?.cast_unsigned(), get::<i64>(row, 2)?.cast_unsigned());
        counts.waiting += waiting;
        counts.running += running;
        if counts.keys.len() < most {
            counts.keys.push(QueueBusy { key: QueueKey::of(&get::<String>(row, 0)?), waiting, running });
        }
    }
    Ok(counts)
}

fn waiting(conn: &Connection) -> Result<Vec<QueueName>> {
    const OP: &str = "look for queues";
    let mut select = conn
        .prepare_cached(
            "SELECT queue, max(left_behind), (SELECT count(*) FROM flow_queued r WHERE r.queue = found.queue AND r.state = 2)
             FROM (
                 SELECT queue, 0 AS left_behind FROM flow_queued WHERE state = 0
                 UNION SELECT queue, 0 FROM flow_queued WHERE state = 1
                 UNION SELECT queue, 1 FROM flow_queued q CROSS JOIN flow_executions e ON e.run_no = q.run_no
                     WHERE q.state = 2 AND e.holder <> (SELECT CASE WHEN ended = 1 THEN -1 ELSE token END FROM lease)
             ) found GROUP BY queue ORDER BY queue",
        )
        .map_err(fault(OP))?;
    let mut rows = select.query([]).map_err(fault(OP))?;
    let mut names = Vec::new();
    while let Some(row) = rows.next().map_err(fault(OP))? {
        let queue = QueueName::new(get::<String>(row, 0)?).map_err(|e| corrupt(OP, e.to_string()))?;
        let (left, running) = (get::<bool>(row, 1)?, get::<i64>(row, 2)?.cast_unsigned());
        let entry = entries::get(conn, &entry_key(&queue)?)?;
        // What cannot be read is told by whoever admits.
        let rules = entry.and_then(|entry| QueueRules::decode(&entry.value).ok()).unwrap_or_default();
        if left || !rules.is_full(running) {
            names.push(queue);
        }
    }
    Ok(names)
}
