//! Short words for what the tests say often.

use fastn_core::{ErrorKind, Result};
use fastn_store::{Batch, ClaimAsk, Lease, NewRun, RunKey, RunNo, Store, Suspects, Then, Turn, Write, Written};
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
