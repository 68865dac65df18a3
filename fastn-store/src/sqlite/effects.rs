//! Transactional steps: what a step does in the database and its result are true together, or neither is.

use std::panic::AssertUnwindSafe;

use fastn_core::{Payload, StepCx, StepError};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::fault;
use super::store::SqliteStore;

const OP: &str = "do a step in a transaction";

impl SqliteStore {
    /// Does the work of a step in a transaction of this database, **exactly once**: what the work writes there and the
    /// step's result are committed together. Called in a step, with its context; when an attempt is made again because the
    /// process died, the result of the first is given and the work is not done.
    ///
    /// # Contract
    /// The work is done on the thread that writes, between two commits of the engine: it should be short, and must not
    /// wait for anything. What is done elsewhere than in this transaction is not part of it. A step does one such work.
    ///
    /// # Errors
    /// What the work returns: then nothing of it is kept. What the database says, to be tried again as the step's policy has
    /// it.
    ///
    /// # Cancel safety
    /// If the future is dropped, the work was done or it was not; calling again tells.
    pub async fn once<T, F>(&self, cx: &StepCx, work: F) -> Result<T, StepError>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StepError> + Send + 'static,
    {
        let info = cx.info();
        let step =
            Step { key: info.idempotency_key(), tenant: info.tenant.as_str().to_owned(), run: *info.run.as_bytes() };
        self.writer.ask(move |writer| Ok(writer.apart(|conn| once(conn, &step, work)))).await?
    }
}

/// Which step of which run.
struct Step {
    key: String,
    tenant: String,
    run: [u8; 16],
}

fn once<T, F>(conn: &Connection, step: &Step, work: F) -> Result<T, StepError>
where
    T: Serialize + DeserializeOwned,
    F: FnOnce(&Transaction<'_>) -> Result<T, StepError>,
{
    let transaction = Transaction::new_unchecked(conn, TransactionBehavior::Immediate).map_err(fault(OP))?;
    let done: Option<Vec<u8>> = transaction
        .prepare_cached("SELECT output FROM flow_effects WHERE key = ?1")
        .and_then(|mut select| select.query_row([&step.key], |row| row.get(0)).optional())
        .map_err(fault(OP))?;
    if let Some(output) = done {
        return Ok(Payload::json(output).decode()?);
    }
    // The thread is everybody's: it goes on whatever becomes of this work.
    let worked = std::panic::catch_unwind(AssertUnwindSafe(|| work(&transaction)));
    let output = worked.unwrap_or_else(|_| Err(StepError::new("the work panicked")))?;
    let recorded = Payload::encode(&output)?;
    transaction
        .prepare_cached("INSERT INTO flow_effects (key, tenant, run_id, output) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut insert| insert.execute((&step.key, &step.tenant, &step.run, &recorded.bytes()[..])))
        .map_err(fault(OP))?;
    transaction.commit().map_err(fault(OP))?;
    Ok(output)
}
