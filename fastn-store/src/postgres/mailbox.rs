//! What is sent to runs from outside.

use async_trait::async_trait;
use bytes::Bytes;
use fastn_core::{Result, RunId, TenantId, Timestamp};
use uuid::Uuid;

use super::days::range_of;
use super::fault::{corrupt, fault};
use super::numbers::{stored, unsigned};
use super::row::{BESIDE, COLUMNS, get, status, summary};
use super::store::PostgresStore;
use crate::standing::fenced;
use crate::{Mailbox, Message, MessageNo, News, NewsAsk, ReceiveAsk, Received, RunKey, RunSummary, Sent};

#[async_trait]
impl Mailbox for PostgresStore {
    async fn send(&self, messages: Vec<Message>) -> Result<Vec<Sent>> {
        const OP: &str = "send messages";
        self.healed(async {
            let client = self.connect(OP).await?;
            let function =
                client.prepare_cached("SELECT send_1($1, $2, $3, $4, $5, $6, $7)").await.map_err(fault(OP))?;
            let mut sent = Vec::with_capacity(messages.len());
            for message in &messages {
                let (run, id) = (Uuid::from_bytes(*message.run.run.as_bytes()), Uuid::from_bytes(message.id));
                let (from, to) = range_of(message.run.run).unzip();
                let (tenant, at) = (message.run.tenant.as_str(), message.sent_at.as_micros());
                let row = client
                    .query_one(&function, &[&tenant, &run, &from, &to, &id, &at, &&message.body[..]])
                    .await
                    .map_err(fault(OP))?;
                sent.push(match get::<i16>(&row, 0)? {
                    -1 => Sent::NotFound,
                    0 => Sent::Accepted,
                    1 => Sent::Known,
                    ended => Sent::Ended(status(ended)?),
                });
            }
            if sent.contains(&Sent::Accepted) {
                self.board().tell_messages();
            }
            Ok(sent)
        })
        .await
    }

    async fn receive(&self, ask: ReceiveAsk) -> Result<Vec<Received>> {
        const OP: &str = "receive messages";
        self.healed(async {
        let client = self.connect(OP).await?;
        let select = client
            .prepare_cached(
                "SELECT w.message_no, w.id, w.sent_at, w.body, w.tenant, w.run_id FROM flow_leases l
                 LEFT JOIN LATERAL (
                     SELECT m.message_no, m.id, m.sent_at, m.body, t.tenant, e.run_id FROM flow_messages m
                     JOIN flow_executions e ON e.run_no = m.run_no
                     JOIN flow_tenants t ON t.tenant_no = e.tenant_no
                     LEFT JOIN flow_open o ON o.run_no = e.run_no
                     WHERE m.body IS NOT NULL AND m.message_no > $2 AND coalesce(o.holder, e.creator) = l.token
                         AND NOT EXISTS (SELECT 1 FROM flow_history h WHERE h.run_no = e.run_no AND h.status IS NOT NULL)
                     ORDER BY m.message_no LIMIT $3
                 ) w ON true
                 WHERE l.token = $1 AND NOT l.ended ORDER BY w.message_no",
            )
            .await
            .map_err(fault(OP))?;
        let after = ask.after.map_or(0, |no| stored(no.0));
        let rows =
            client.query(&select, &[&stored(ask.lease), &after, &i64::from(ask.limit)]).await.map_err(fault(OP))?;
        // A lease in force has a row in any case.
        if rows.is_empty() {
            return Err(fenced(OP, ask.lease));
        }
        rows.iter()
            .filter(|row| !matches!(row.try_get::<_, Option<i64>>(0), Ok(None)))
            .map(|row| {
                let tenant = TenantId::new(get::<String>(row, 4)?).map_err(|e| corrupt(OP, e.to_string()))?;
                let message = Message {
                    id: get::<Uuid>(row, 1)?.into_bytes(),
                    run: RunKey { tenant, run: RunId::from_bytes(get::<Uuid>(row, 5)?.into_bytes()) },
                    body: Bytes::from(get::<Vec<u8>>(row, 3)?),
                    sent_at: Timestamp::from_micros(get(row, 2)?),
                };
                Ok(Received { no: MessageNo(unsigned(get(row, 0)?)?), message })
            })
            .collect()
        })
        .await
    }

    async fn acknowledge(&self, lease: u64, messages: &[MessageNo]) -> Result<()> {
        const OP: &str = "acknowledge messages";
        self.healed(async {
            let client = self.connect(OP).await?;
            let function = client.prepare_cached("SELECT acknowledge_1($1, $2)").await.map_err(fault(OP))?;
            let messages: Vec<i64> = messages.iter().map(|no| stored(no.0)).collect();
            client.execute(&function, &[&stored(lease), &messages]).await.map_err(fault(OP)).map(drop)
        })
        .await
    }

    async fn unread(&self, run: &RunKey) -> Result<Vec<Message>> {
        const OP: &str = "look at messages";
        self.healed(async {
            let client = self.connect(OP).await?;
            let select = client
                .prepare_cached(
                    "SELECT m.id, m.sent_at, m.body FROM flow_messages m WHERE m.body IS NOT NULL AND m.run_no = (
                     SELECT x.run_no FROM flow_tenants t JOIN flow_executions x ON x.tenant_no = t.tenant_no
                     WHERE t.tenant = $1 AND x.run_id = $2 AND x.run_no >= $3 AND x.run_no < $4
                     UNION
                     SELECT k.run_no FROM flow_tenants t JOIN flow_keys k ON k.tenant_no = t.tenant_no
                     WHERE t.tenant = $1 AND k.run_id = $2
                     LIMIT 1
                 ) AND NOT EXISTS (SELECT 1 FROM flow_history h WHERE h.run_no = m.run_no AND h.status IS NOT NULL)
                 ORDER BY m.message_no",
                )
                .await
                .map_err(fault(OP))?;
            let (id, (from, to)) = (Uuid::from_bytes(*run.run.as_bytes()), range_of(run.run).unzip());
            let rows = client.query(&select, &[&run.tenant.as_str(), &id, &from, &to]).await.map_err(fault(OP))?;
            let message = |row: &tokio_postgres::Row| {
                Ok(Message {
                    id: get::<Uuid>(row, 0)?.into_bytes(),
                    run: run.clone(),
                    body: Bytes::from(get::<Vec<u8>>(row, 2)?),
                    sent_at: Timestamp::from_micros(get(row, 1)?),
                })
            };
            rows.iter().map(message).collect()
        })
        .await
    }

    async fn summaries(&self, runs: &[RunKey]) -> Result<Vec<Option<RunSummary>>> {
        const OP: &str = "read runs";
        self.healed(async {
            let client = self.connect(OP).await?;
            let sql = format!(
                "SELECT {COLUMNS}, asked.place FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[])
                 WITH ORDINALITY AS asked (tenant, run, nos_from, nos_to, place)
             JOIN flow_tenants whose ON whose.tenant = asked.tenant
             JOIN LATERAL (
                 SELECT x.run_no FROM flow_executions x
                 WHERE x.tenant_no = whose.tenant_no AND x.run_id = asked.run
                     AND x.run_no >= asked.nos_from AND x.run_no < asked.nos_to
                 UNION ALL
                 SELECT k.run_no FROM flow_keys k WHERE k.tenant_no = whose.tenant_no AND k.run_id = asked.run
                 LIMIT 1
             ) found ON true
             JOIN flow_executions e ON e.run_no = found.run_no {BESIDE}"
            );
            let select = client.prepare_cached(&sql).await.map_err(fault(OP))?;
            let tenants: Vec<&str> = runs.iter().map(|key| key.tenant.as_str()).collect();
            let ids: Vec<Uuid> = runs.iter().map(|key| Uuid::from_bytes(*key.run.as_bytes())).collect();
            let (from, to): (Vec<Option<i64>>, Vec<Option<i64>>) =
                runs.iter().map(|key| range_of(key.run).unzip()).unzip();
            let mut summaries = vec![None; runs.len()];
            for row in client.query(&select, &[&tenants, &ids, &from, &to]).await.map_err(fault(OP))? {
                let place = usize::try_from(get::<i64>(&row, 11)? - 1).map_err(|e| corrupt(OP, e.to_string()))?;
                if let Some(slot) = summaries.get_mut(place) {
                    *slot = Some(summary(&row)?);
                }
            }
            Ok(summaries)
        })
        .await
    }

    async fn news(&self, ask: NewsAsk) -> Result<News> {
        self.listen(ask.ends)?;
        self.board().wait(ask).await
    }
}
