//! Runs and records for tests of stores: short words for what such tests say often.

use std::time::Duration;

use fastn_core::plan::PlanHash;
use fastn_core::{
    Error, ErrorKind, Event, ExecutorId, Failure, FailureKind, Outcome, Payload, Record, Result, RunId, TenantId,
    Timestamp, Version, WorkflowName,
};
use fastn_store::{DefinitionKey, LeaseAsk, NewRun, RunKey, RunNo, RunStatus, Then, Turn, Withdraw};

/// How long the leases of [`lease_ask`] last, in seconds.
pub const TTL: i64 = 10;

/// A time by its seconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds.saturating_mul(1_000))
}

/// Asks for a lease of [`TTL`] seconds.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) if no executor can have that name.
pub fn lease_ask(executor: &str, now: i64) -> Result<LeaseAsk> {
    let executor = ExecutorId::new(executor).map_err(invalid)?;
    Ok(LeaseAsk { executor, now: at(now), ttl: Duration::from_secs(TTL.unsigned_abs()) })
}

/// The key of a run that is known by a name.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) if no tenant can have that name.
pub fn key(tenant: &str, name: &str) -> Result<RunKey> {
    Ok(RunKey { tenant: TenantId::new(tenant).map_err(invalid)?, run: RunId::named(name) })
}

/// The first version of a workflow.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) if no workflow can have that name.
pub fn definition(workflow: &str) -> Result<DefinitionKey> {
    let workflow = WorkflowName::new(workflow).map_err(invalid)?;
    Ok(DefinitionKey { workflow, version: Version(1), shape: PlanHash([7; 32]) })
}

/// A run whose input is its name.
///
/// # Errors
/// As [`key`] and [`definition`].
pub fn new_run(tenant: &str, name: &str, workflow: &str) -> Result<NewRun> {
    Ok(NewRun {
        key: key(tenant, name)?,
        definition: definition(workflow)?,
        plan: Some(format!("the plan of {workflow}").into()),
        input: Payload::json(format!("\"{name}\"")),
        created_at: at(1),
    })
}

/// A record that can be told from others by its number.
pub fn record(number: u64) -> Record {
    Record { time: at(2), event: Event::CancelRequested { reason: format!("record {number}"), actor: None } }
}

/// The last record of a run that ends in this status.
pub fn finished(status: RunStatus) -> Record {
    let failure = Failure::new(FailureKind::ERROR, "no");
    let outcome = match status {
        RunStatus::Succeeded => Outcome::Succeeded(Payload::json("42")),
        RunStatus::Failed => Outcome::Failed(failure),
        RunStatus::Cancelled => Outcome::Cancelled(failure),
        _ => Outcome::Stuck(failure),
    };
    Record { time: at(3), event: Event::Finished { outcome } }
}

/// A turn with these records.
///
/// # Errors
/// If a record cannot be written, which is not expected.
pub fn turn_of(run: RunNo, first: u64, records: &[Record], then: Then) -> Result<Turn> {
    let mut bytes = Vec::new();
    records.iter().try_for_each(|record| record.append_to(&mut bytes))?;
    let count = u32::try_from(records.len()).map_err(invalid)?;
    Ok(Turn { run, first, count, records: bytes.into(), then })
}

/// A turn of so many numbered records; if it ends the run, the last of them says so.
///
/// # Errors
/// As [`turn_of`].
pub fn turn(run: RunNo, first: u64, count: u64, then: Then) -> Result<Turn> {
    let mut records: Vec<Record> = (0..count).map(|n| record(first.saturating_add(n))).collect();
    if let (Then::End(status), Some(last)) = (then, records.last_mut()) {
        *last = finished(status);
    }
    turn_of(run, first, &records, then)
}

/// What withdraws a run at this second.
///
/// # Errors
/// As [`turn_of`].
pub fn withdrawal(run: RunKey, now: i64) -> Result<Withdraw> {
    let status = RunStatus::Cancelled;
    let turn = turn_of(RunNo(0), 0, &[record(0), finished(status)], Then::End(status))?;
    Ok(Withdraw { now: at(now), run, status, records: turn.records, count: turn.count })
}

fn invalid(why: impl Into<fastn_core::BoxError>) -> Error {
    Error::new(ErrorKind::Invalid, "make a sample").caused_by(why)
}
