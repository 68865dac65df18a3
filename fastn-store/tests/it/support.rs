//! Short words for what the tests say often.

use std::time::Duration;

use bytes::Bytes;
use fastn_core::plan::PlanHash;
use fastn_core::{
    ErrorKind, Event, ExecutorId, Failure, FailureKind, Outcome, Payload, Record, Result, RunId, TenantId, Timestamp,
    Version, WorkflowName,
};
use fastn_store::{
    Batch, ClaimAsk, DefinitionKey, Lease, LeaseAsk, NewRun, RunKey, RunNo, RunStatus, Store, Then, Turn, Write,
    Written,
};

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

pub(crate) fn key(tenant: &str, name: &str) -> RunKey {
    RunKey { tenant: TenantId::new(tenant).unwrap(), run: RunId::named(name) }
}

pub(crate) fn definition(workflow: &str) -> DefinitionKey {
    DefinitionKey { workflow: WorkflowName::new(workflow).unwrap(), version: Version(1), shape: PlanHash([7; 32]) }
}

pub(crate) fn new_run(tenant: &str, name: &str, workflow: &str) -> NewRun {
    NewRun {
        key: key(tenant, name),
        definition: definition(workflow),
        plan: Some(format!("the plan of {workflow}").into()),
        input: Payload::json(format!("\"{name}\"")),
        created_at: at(1),
    }
}

/// A record that can be told from others by its number.
pub(crate) fn record(number: u64) -> Record {
    Record { time: at(2), event: Event::CancelRequested { reason: format!("record {number}") } }
}

pub(crate) fn finished(status: RunStatus) -> Record {
    let failure = Failure::new(FailureKind::ERROR, "no");
    let outcome = match status {
        RunStatus::Succeeded => Outcome::Succeeded(Payload::json("42")),
        RunStatus::Failed => Outcome::Failed(failure),
        RunStatus::Cancelled => Outcome::Cancelled(failure),
        _ => Outcome::Stuck(failure),
    };
    Record { time: at(3), event: Event::Finished { outcome } }
}

pub(crate) fn encoded(records: &[Record]) -> Bytes {
    let mut buffer = Vec::new();
    records.iter().for_each(|record| record.append_to(&mut buffer).unwrap());
    buffer.into()
}

/// A turn with these records.
pub(crate) fn turn_of(run: RunNo, first: u64, records: &[Record], then: Then) -> Turn {
    Turn { run, first, count: u32::try_from(records.len()).unwrap(), records: encoded(records), then }
}

/// A turn of numbered records, or the end of a run.
pub(crate) fn turn(run: RunNo, first: u64, count: u64, then: Then) -> Turn {
    let mut records: Vec<Record> = (first..first + count).map(record).collect();
    if let (Then::End(status), Some(last)) = (then, records.last_mut()) {
        *last = finished(status);
    }
    turn_of(run, first, &records, then)
}

pub(crate) async fn acquire(store: &dyn Store, executor: &str, now: i64) -> Result<Lease> {
    let ttl = Duration::from_secs(10);
    store.acquire(LeaseAsk { executor: ExecutorId::new(executor).unwrap(), now: at(now), ttl }).await
}

pub(crate) async fn create(store: &dyn Store, lease: Option<&Lease>, new: NewRun) -> RunNo {
    let batch = Batch { lease: lease.map(|lease| lease.token), now: at(1), writes: vec![Write::Create(new)] };
    match store.commit(batch).await.unwrap().as_slice() {
        [Written::Created(no)] => *no,
        other => panic!("not created: {other:?}"),
    }
}

pub(crate) async fn commit(store: &dyn Store, lease: &Lease, turns: Vec<Turn>) -> Result<Vec<Written>> {
    let writes = turns.into_iter().map(Write::Turn).collect();
    store.commit(Batch { lease: Some(lease.token), now: at(5), writes }).await
}

/// The numbers of the runs that a lease can claim.
pub(crate) async fn claim(
    store: &dyn Store,
    lease: &Lease,
    now: i64,
    serves: &[&str],
    limit: u32,
) -> Result<Vec<RunNo>> {
    let serves = serves.iter().map(|workflow| definition(workflow)).collect();
    let claimed = store.claim(ClaimAsk { lease: lease.token, now: at(now), serves, limit }).await?;
    Ok(claimed.into_iter().map(|claimed| claimed.no).collect())
}

#[track_caller]
pub(crate) fn fails<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) -> String {
    let error = result.expect_err("this should have failed");
    assert_eq!(error.kind(), kind, "{error:?}");
    error.chain().join("\n")
}
