//! Transactional steps: what a step does in the database and its result are true together, or neither is.

use fastn_core::{BoxFuture, Error, ErrorKind, Payload, StepCx, StepError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::Transaction;
use uuid::Uuid;

use super::fault::fault;
use super::numbers::stored;
use super::row::get;
use super::store::PostgresStore;

const OP: &str = "do a step in a transaction";

impl PostgresStore {
    /// Does the work of a step in a transaction of this database, **exactly once**: what the work writes there and the
    /// step's result are committed together. Called in a step, with its context; when an attempt is made again because
    /// the process died or the answer was lost, the result of the first is given and the work is not done.
    ///
    /// ```no_run
    /// # use fastn_core::{StepCx, StepError};
    /// # use fastn_store::PostgresStore;
    /// # async fn step(database: PostgresStore, cx: StepCx, order: i64) -> Result<i64, StepError> {
    /// database.once(&cx, |transaction| Box::pin(async move {
    ///     transaction.execute("INSERT INTO charges (order_no) VALUES ($1)", &[&order]).await?;
    ///     Ok(order)
    /// })).await
    /// # }
    /// ```
    ///
    /// # Contract
    /// The transaction is on a connection that is as the host's own are: its isolation level, its time limits and the names it
    /// sees are the database's defaults. There are as many such connections as others, and they are not those that the
    /// engine needs. Work that is done by two at the same time, as when an executor was paused and its runs were taken over, is done
    /// by one; the other waits for it and gets its result. What is done elsewhere than in this transaction is not part of
    /// it. A step does one such work.
    ///
    /// If the engine runs on this very store, an executor that has lost its lease commits nothing: whatever was done since
    /// by those who took its runs over comes first. Nobody waits for it either: the sessions of its steps are ended with the
    /// lease, unless executors use different users of the database of which none may end the others' sessions.
    ///
    /// # Errors
    /// What the work returns: then nothing of it is kept. What the database says, to be tried again as the step's policy has
    /// it. [`Fenced`](ErrorKind::Fenced) if the lease was lost meanwhile: then nothing of it is kept either.
    ///
    /// # Cancel safety
    /// If the future is dropped, the work was done or it was not; calling again tells.
    pub async fn once<T, F>(&self, cx: &StepCx, work: F) -> Result<T, StepError>
    where
        T: Serialize + DeserializeOwned,
        F: for<'t> FnOnce(&'t Transaction<'t>) -> BoxFuture<'t, Result<T, StepError>>,
    {
        let info = cx.info();
        let (key, tenant) = (info.idempotency_key(), info.tenant.as_str());
        let run = Uuid::from_bytes(*info.run.as_bytes());
        let schema = self.schema();
        let mut client = self.connect_beside(OP).await?;
        let transaction = client.transaction().await.map_err(fault(OP))?;
        let token = info.fence.filter(|token| self.has_given(*token));
        // Whoever does the same at the same time is waited for: there is no second row of this key. By the lock it is known
        // whose session this is, so that nobody waits for one whose lease has ended: see `stop_effects_1`.
        let insert = format!(
            "INSERT INTO {schema}.flow_effects (key, tenant, run)
             SELECT $1, $2, $3 FROM (
                 SELECT CASE WHEN $4::bigint IS NOT NULL THEN
                     pg_advisory_xact_lock_shared(hashtext('{schema}.once'), ($4 % 2147483647)::integer)::text END
             ) AS ours
             ON CONFLICT (key) DO NOTHING"
        );
        if transaction.execute(&insert, &[&key, &tenant, &run, &token.map(stored)]).await.map_err(fault(OP))? == 0 {
            let select = format!("SELECT output FROM {schema}.flow_effects WHERE key = $1");
            let row = transaction.query_one(&select, &[&key]).await.map_err(fault(OP))?;
            let missing = || Error::new(ErrorKind::Corrupt, OP).with("step", &key).caused_by("its result is missing");
            let output: Vec<u8> = get::<Option<Vec<u8>>>(&row, 0)?.ok_or_else(missing)?;
            return Ok(Payload::json(output).decode()?);
        }
        let output = work(&transaction).await?;
        let recorded = Payload::encode(&output)?;
        let update = format!("UPDATE {schema}.flow_effects SET output = $2 WHERE key = $1");
        transaction.execute(&update, &[&key, &&recorded.bytes()[..]]).await.map_err(fault(OP))?;
        if let Some(token) = token {
            // In one message: a lease that is held cannot be ended, and nobody must be stopped while he holds it so.
            let fenced = format!("SELECT {schema}.hold_lease_1({token}); COMMIT");
            transaction.batch_execute(&fenced).await.map_err(fault(OP))?;
        }
        transaction.commit().await.map_err(fault(OP))?;
        Ok(output)
    }
}
