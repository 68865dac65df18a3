//! Queues.

use async_trait::async_trait;
use deadpool_postgres::Client;
use fastn_core::{QueueKey, QueueName, Result};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::admit::admit;
use super::days::range_of;
use super::fault::{corrupt, fault};
use super::numbers::unsigned;
use super::row::get;
use super::store::PostgresStore;
use crate::queue::QueueRules;
use crate::standing::check_withdraw;
use crate::{AdmitAsk, Admitted, QueueBusy, QueueCounts, Queues, Withdraw};

#[async_trait]
impl Queues for PostgresStore {
    async fn admit(&self, ask: AdmitAsk) -> Result<Admitted> {
        self.healed(async {
            let mut client = self.connect("admit runs").await?;
            self.serve(&client, &ask.serves).await?;
            let admitted = admit(&mut client, self.lease_clock(), &ask).await;
            let admitted = self.heed(ask.lease, admitted)?;
            self.hold(&client, "admit runs", ask.lease, &admitted.runs).await?;
            Ok(admitted)
        })
        .await
    }

    async fn withdraw(&self, ask: Withdraw) -> Result<bool> {
        self.healed(async {
            check_withdraw(&ask)?;
            let withdrawn = withdraw(&self.connect("withdraw run").await?, &ask).await?;
            if withdrawn {
                self.board().tell_queues();
                self.board().tell_ends();
            }
            Ok(withdrawn)
        })
        .await
    }

    async fn waiting(&self) -> Result<Vec<QueueName>> {
        const OP: &str = "look for queues";
        self.healed(async {
        let client = self.connect(OP).await?;
        // How many have their place is of interest only where there may be too many.
        let select = client
            .prepare_cached(
                "SELECT q.queue, q.left_behind, e.value, CASE WHEN NOT q.left_behind AND e.value LIKE '%\"concurrency\"%'::bytea THEN (
                     SELECT count(*) FROM flow_queued r WHERE r.state = 2 AND r.queue = q.queue
                 ) ELSE 0 END
                 FROM (
                     SELECT q.queue,
                         EXISTS (SELECT 1 FROM flow_queued w WHERE w.state = 1 AND w.queue = q.queue)
                             OR EXISTS (SELECT 1 FROM flow_queued w WHERE w.state = 0 AND w.queue = q.queue) AS waits,
                         EXISTS (SELECT 1 FROM flow_leases l JOIN flow_open o ON o.holder = l.token
                                 JOIN flow_queued w ON w.run_no = o.run_no
                                 WHERE l.ended AND w.state = 2 AND w.queue = q.queue) AS left_behind
                     FROM flow_queues q
                 ) q
                 LEFT JOIN entries e ON e.kind = 'queue' AND e.tenant = 'default' AND e.name = q.queue
                 WHERE q.waits OR q.left_behind ORDER BY q.queue",
            )
            .await
            .map_err(fault(OP))?;
        let mut names = Vec::new();
        for row in client.query(&select, &[]).await.map_err(fault(OP))? {
            let queue = QueueName::new(get::<String>(&row, 0)?).map_err(|e| corrupt(OP, e.to_string()))?;
            let (left, running) = (get::<bool>(&row, 1)?, unsigned(get(&row, 3)?)?);
            // What cannot be read is told by whoever admits.
            let value = get::<Option<Vec<u8>>>(&row, 2)?;
            let rules = value.and_then(|value| QueueRules::decode(&value).ok()).unwrap_or_default();
            if left || !rules.is_full(running) {
                names.push(queue);
            }
        }
        Ok(names)
        })
        .await
    }

    async fn counts(&self, queue: &QueueName, keys: u32) -> Result<QueueCounts> {
        const OP: &str = "count runs of queue";
        self.healed(async {
            let client = self.connect_to_look(OP).await?;
            let select = client
                .prepare_cached(
                    "SELECT key, sum(waiting)::bigint, sum(running)::bigint FROM (
                     SELECT key, 1 AS waiting, 0 AS running FROM flow_queued WHERE state = 0 AND queue = $1
                     UNION ALL SELECT key, 1, 0 FROM flow_queued WHERE state = 1 AND queue = $1
                     UNION ALL SELECT key, 0, 1 FROM flow_queued WHERE state = 2 AND queue = $1
                 ) AS all_of_it GROUP BY key ORDER BY 2 DESC, 3 DESC, 1",
                )
                .await
                .map_err(fault(OP))?;
            let (mut counts, most) = (QueueCounts::default(), usize::try_from(keys).unwrap_or(usize::MAX));
            for row in client.query(&select, &[&queue.as_str()]).await.map_err(fault(OP))? {
                let (waiting, running) = (unsigned(get(&row, 1)?)?, unsigned(get(&row, 2)?)?);
                counts.waiting += waiting;
                counts.running += running;
                if counts.keys.len() < most {
                    counts.keys.push(QueueBusy { key: QueueKey::of(&get::<String>(&row, 0)?), waiting, running });
                }
            }
            Ok(counts)
        })
        .await
    }
}

/// Ends a run that nobody has ever had.
async fn withdraw(client: &Client, ask: &Withdraw) -> Result<bool> {
    const OP: &str = "withdraw run";
    let (id, (from, to)) = (Uuid::from_bytes(*ask.run.run.as_bytes()), range_of(ask.run.run).unzip());
    let withdraw =
        client.prepare_cached("SELECT withdraw_1($1, $2, $3, $4, $5, $6, $7, $8)").await.map_err(fault(OP))?;
    let values: [&(dyn ToSql + Sync); 8] = [
        &ask.run.tenant.as_str(),
        &id,
        &from,
        &to,
        &ask.now.as_micros(),
        &i16::from(ask.status.code()),
        &i64::from(ask.count),
        &&ask.records[..],
    ];
    let row = client.query_one(&withdraw, &values).await.map_err(fault(OP))?;
    get(&row, 0)
}
