//! Queues.

use async_trait::async_trait;
use fastn_core::{QueueKey, QueueName, Result};
use tokio_postgres::IsolationLevel;
use uuid::Uuid;

use super::admit::{admit, take};
use super::days::range_of;
use super::fault::{corrupt, fault};
use super::numbers::{run_no, stored, unsigned};
use super::row::get;
use super::served::Served;
use super::store::PostgresStore;
use crate::{AdmitAsk, Admitted, Claimed, QueueBusy, QueueCounts, Queues, RunNo, Withdraw};

#[async_trait]
impl Queues for PostgresStore {
    async fn admit(&self, ask: AdmitAsk) -> Result<Admitted> {
        let mut client = self.connect("admit runs").await?;
        self.serve(&client, &ask.serves).await?;
        let admitted = admit(&mut client, self.lease_clock(), &ask).await;
        let admitted = self.heed(ask.lease, admitted)?;
        self.hold(&client, "admit runs", ask.lease, &admitted.runs).await?;
        Ok(admitted)
    }

    async fn withdraw(&self, ask: Withdraw) -> Result<Option<Claimed>> {
        let mut client = self.connect("withdraw run").await?;
        let withdrawn = withdraw(&mut client, &ask).await;
        let withdrawn = self.heed(ask.lease, withdrawn)?;
        self.hold(&client, "withdraw run", ask.lease, withdrawn.as_slice()).await?;
        Ok(withdrawn)
    }

    async fn waiting(&self) -> Result<Vec<QueueName>> {
        const OP: &str = "look for queues";
        let client = self.connect(OP).await?;
        let select = client
            .prepare_cached(
                "SELECT q.queue FROM flow_queues q
                 WHERE EXISTS (SELECT 1 FROM flow_queued w WHERE w.state = 1 AND w.queue = q.queue)
                     OR EXISTS (SELECT 1 FROM flow_queued w WHERE w.state = 0 AND w.queue = q.queue)
                     OR EXISTS (SELECT 1 FROM flow_leases l JOIN flow_open o ON o.holder = l.token
                                JOIN flow_queued w ON w.run_no = o.run_no
                                WHERE l.ended AND w.state = 2 AND w.queue = q.queue)
                 ORDER BY q.queue",
            )
            .await
            .map_err(fault(OP))?;
        let rows = client.query(&select, &[]).await.map_err(fault(OP))?;
        rows.iter().map(|row| QueueName::new(get::<String>(row, 0)?).map_err(|e| corrupt(OP, e.to_string()))).collect()
    }

    async fn counts(&self, queue: &QueueName, keys: u32) -> Result<QueueCounts> {
        const OP: &str = "count runs of queue";
        let client = self.connect(OP).await?;
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
    }
}

/// Takes a run out of its queue, as long as nobody admits it.
async fn withdraw(client: &mut deadpool_postgres::Client, ask: &Withdraw) -> Result<Option<Claimed>> {
    const OP: &str = "withdraw run";
    let level = IsolationLevel::ReadCommitted;
    let transaction = client.build_transaction().isolation_level(level).start().await.map_err(fault(OP))?;
    transaction.execute("SELECT hold_lease_1($1)", &[&stored(ask.lease)]).await.map_err(fault(OP))?;
    let (id, (from, to)) = (Uuid::from_bytes(*ask.run.run.as_bytes()), range_of(ask.run.run).unzip());
    let row = transaction
        .query_opt(
            "SELECT q.run_no, q.queue FROM (
                 SELECT x.run_no FROM flow_tenants t JOIN flow_executions x ON x.tenant_no = t.tenant_no
                 WHERE t.tenant = $1 AND x.run_id = $2 AND x.run_no >= $3 AND x.run_no < $4
                 UNION
                 SELECT k.run_no FROM flow_tenants t JOIN flow_keys k ON k.tenant_no = t.tenant_no
                 WHERE t.tenant = $1 AND k.run_id = $2
             ) found JOIN flow_queued q ON q.run_no = found.run_no WHERE q.state < 2",
            &[&ask.run.tenant.as_str(), &id, &from, &to],
        )
        .await
        .map_err(fault(OP))?;
    let Some(row) = row else { return Ok(None) };
    let (no, queue): (i64, String) = (get(&row, 0)?, get(&row, 1)?);
    transaction
        .execute("INSERT INTO flow_queues (queue) VALUES ($1) ON CONFLICT DO NOTHING", &[&queue])
        .await
        .map_err(fault(OP))?;
    transaction.execute("SELECT 1 FROM flow_queues WHERE queue = $1 FOR UPDATE", &[&queue]).await.map_err(fault(OP))?;
    let Served { workflow, version, shape } = Served::of(&ask.serves);
    let taken = transaction
        .execute(
            "DELETE FROM flow_queued WHERE run_no = $1 AND state < 2 AND def_no IN (
                 SELECT d.def_no FROM flow_definitions d JOIN unnest($2::text[], $3::bigint[], $4::bytea[])
                     AS s (workflow, version, shape) USING (workflow, version, shape))",
            &[&no, &workflow, &version, &shape],
        )
        .await
        .map_err(fault(OP))?;
    if taken == 0 {
        return Ok(None);
    }
    let runs: [RunNo; 1] = [run_no(no)?];
    let withdrawn = take(&transaction, ask.lease, &runs).await?.pop();
    transaction.commit().await.map_err(fault(OP))?;
    Ok(withdrawn)
}
