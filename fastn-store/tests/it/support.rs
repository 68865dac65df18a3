//! Short words for what the tests say often.

use std::time::Duration;

use fastn_core::{EntryKind, EntryName, ErrorKind, QueueKey, QueueName, Result, TenantId};
use fastn_store::{
    AdmitAsk, Batch, ClaimAsk, Enqueue, EntryKey, Expect, Lease, NewRun, Once, Put, QUEUE, QueueRules, RunKey, RunNo,
    Store, Suspects, Then, Turn, Write, Written,
};
use fastn_testkit::sample::{self, at};

pub(crate) use fastn_testkit::sample::record;

pub(crate) fn key(tenant: &str, name: &str) -> RunKey {
    sample::key(tenant, name).unwrap()
}

pub(crate) fn new_run(tenant: &str, name: &str, workflow: &str) -> NewRun {
    sample::new_run(tenant, name, workflow).unwrap()
}

/// A turn of numbered records, or the end of a run.
pub(crate) fn turn(run: RunNo, first: u64, count: u64, then: Then) -> Turn {
    sample::turn(run, first, count, then).unwrap()
}

pub(crate) async fn acquire(store: &dyn Store, executor: &str, now: i64) -> Result<Lease> {
    store.acquire(sample::lease_ask(executor, now).unwrap()).await
}

pub(crate) async fn create(store: &dyn Store, lease: Option<&Lease>, new: NewRun) -> RunNo {
    let batch = Batch { lease: lease.map(|lease| lease.token), now: at(1), writes: vec![Write::Create(new.into())] };
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
    let serves = serves.iter().map(|workflow| sample::definition(workflow).unwrap()).collect();
    let claimed = store
        .claim(ClaimAsk { lease: lease.token, now: at(now), serves, limit, suspects: Suspects::default() })
        .await?;
    Ok(claimed.into_iter().map(|claimed| claimed.no).collect())
}

#[track_caller]
pub(crate) fn fails<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) -> String {
    let error = result.expect_err("this should have failed");
    assert_eq!(error.kind(), kind, "{error:?}");
    error.chain().join("\n")
}

/// Makes a queue known that allows everything, and gives its name.
pub(crate) async fn open_queue(store: &(impl Store + ?Sized)) -> QueueName {
    let (kind, name) = (EntryKind::new(QUEUE).unwrap(), EntryName::new("jobs").unwrap());
    let key = EntryKey { kind, tenant: TenantId::default(), name };
    let value = Some(QueueRules::default().encode().unwrap());
    store.put(Put { key, value, expect: Expect::Any }).await.unwrap();
    QueueName::new("jobs").unwrap()
}

/// A run of workflow `w` that is to wait in that queue.
pub(crate) fn waiting(name: &str, once: Option<Once>) -> Enqueue {
    Enqueue {
        new: new_run("t", name, "w"),
        queue: QueueName::new("jobs").unwrap(),
        key: QueueKey::of("key"),
        priority: 3,
        ageing: Duration::from_secs(60),
        delay: Duration::ZERO,
        cost: 1,
        once,
    }
}

/// The runs that the queue admits.
pub(crate) async fn admit(store: &impl Store, lease: &Lease, now: i64) -> Vec<RunKey> {
    let (queue, serves) = (QueueName::new("jobs").unwrap(), vec![sample::definition("w").unwrap()]);
    let (now, suspects) = (at(now), Suspects::default());
    let ask = AdmitAsk { lease: lease.token, now, queue, serves, limit: 10, suspects };
    store.admit(ask).await.unwrap().runs.into_iter().map(|claim| claim.history.run.key).collect()
}
