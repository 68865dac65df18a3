//! New runs of queues that come while others are written are written together.

use std::future::IntoFuture;
use std::sync::Arc;

use fastn::prelude::*;
use fastn::runtime::{Batching, Queue};
use fastn::store::{Batch, Store, Write};
use fastn_testkit::{Fault, FaultStore};
use tokio::task::JoinHandle;

use crate::hazards::{settled, soon};
use crate::slow_store::SlowStore;
use crate::world::{Log, Res, builder, memory, noted};

const RUNS: u64 = 50;

fn flow(log: &Log) -> Workflow<u64, u64> {
    workflow("w").define(|flow, n| flow.step("a", noted(log, "a"), n)).unwrap()
}

/// An engine whose commits wait, and which has many starts under way: of runs, and of items.
async fn crowd(store: impl Store, slow: &SlowStore) -> (Engine, Vec<JoinHandle<Result<RunHandle<u64>, Error>>>) {
    let flow = flow(&Log::default());
    let list = workflow("list")
        .define(|flow, items: Out<'_, Vec<u64>>| {
            flow.step("sum", |items: Vec<u64>| async move { Res::Ok(items.iter().sum::<u64>()) }, items)
        })
        .unwrap();
    let store = Arc::new(store) as Arc<dyn Store>;
    let engine = builder().store(store).queue(Queue::new("q")).serve(&flow).serve(&list).open().await.unwrap();
    slow.commits.forget_permits(1_000);
    let mut starts = Vec::new();
    for n in 0..RUNS {
        starts.push(tokio::spawn(engine.start(&flow, n).queue("q").into_future()));
        let batching = Batching::new("q", 10, hours(1));
        starts.push(tokio::spawn(engine.start_batched(&list, n, &batching).into_future()));
        if n == 0 {
            settled().await;
        }
    }
    settled().await;
    (engine, starts)
}

fn slow() -> Arc<SlowStore> {
    SlowStore::new(memory(), 1_000, 1_000)
}

#[tokio::test]
async fn those_that_come_meanwhile_are_each_what_they_would_be_alone() {
    let slow = slow();
    let counting = FaultStore::new(slow.clone() as Arc<dyn Store>, |_, _| None);
    let (engine, starts) = crowd(counting.clone(), &slow).await;
    assert_eq!(counting.commits(), 2, "the first run and the first item wait for no others");
    slow.commits.add_permits(1_000);
    let mut runs = std::collections::BTreeSet::new();
    for start in starts {
        let run = soon("the start", start).await.unwrap().unwrap();
        runs.insert(run.id());
        soon("the run", run.output()).await.unwrap();
    }
    assert_eq!(runs.len() as u64, RUNS + RUNS / 10);
    let page = engine.runs().list(RunQuery { limit: 1_000, ..RunQuery::default() }).await.unwrap();
    assert_eq!(page.runs.len(), runs.len());
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn all_that_wait_are_written_by_the_next_commit() {
    let slow = slow();
    let writes = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = writes.clone();
    let counting = FaultStore::new(slow.clone() as Arc<dyn Store>, move |_, batch: &Batch| {
        if batch.lease.is_none() {
            seen.lock().unwrap().push(batch.writes.len() as u64);
        }
        None
    });
    let (engine, starts) = crowd(counting, &slow).await;
    slow.commits.add_permits(1_000);
    for start in starts {
        soon("the start", start).await.unwrap().unwrap();
    }
    // Items keep none but such of their queue waiting.
    let mut writes = writes.lock().unwrap().clone();
    writes.sort_unstable();
    assert_eq!(writes, [1, 1, RUNS - 1, RUNS - 1]);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn one_that_is_not_taken_harms_none_of_the_others() {
    let slow = slow();
    let bad = |write: &Write| matches!(write, Write::Enqueue(new) if new.new.input.decode::<u64>().unwrap() == 7);
    let refusing = FaultStore::new(slow.clone() as Arc<dyn Store>, move |_, batch: &Batch| {
        batch.writes.iter().any(bad).then_some(Fault::Refused(ErrorKind::Invalid))
    });
    let (engine, starts) = crowd(refusing, &slow).await;
    slow.commits.add_permits(1_000);
    for (n, start) in (0..).zip(starts) {
        let started = soon("the start", start).await.unwrap();
        match n / 2 {
            7 => assert_eq!(started.unwrap_err().kind(), ErrorKind::Invalid),
            _ => drop(started.unwrap()),
        }
    }
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn all_that_wait_are_told_when_their_engine_goes() {
    let slow = slow();
    let store = FaultStore::new(slow.clone() as Arc<dyn Store>, |_, _| None);
    let (engine, starts) = crowd(store, &slow).await;
    drop(engine);
    for start in starts {
        let error = soon("the start", start).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

/// Somebody's transaction may be about to create a run of the same id, and keeps only such waiting.
#[tokio::test]
async fn a_run_whose_id_a_host_has_chosen_keeps_no_other_waiting() {
    let slow = slow();
    let flow = flow(&Log::default());
    let store = slow.clone() as Arc<dyn Store>;
    let engine = builder().store(store).queue(Queue::new("q")).serve(&flow).open().await.unwrap();
    slow.commits.forget_permits(1_000);
    let named = tokio::spawn(engine.start(&flow, 1).queue("q").key("order 1").into_future());
    let once = tokio::spawn(engine.start(&flow, 2).queue("q").deduplicate("order 2").into_future());
    settled().await;
    let other = tokio::spawn(engine.start(&flow, 3).queue("q").into_future());
    settled().await;
    assert_eq!(slow.waiting(), 3, "each is on its way by itself");
    slow.commits.add_permits(1_000);
    for start in [named, once, other] {
        soon("the start", start).await.unwrap().unwrap();
    }
    engine.shutdown().await.unwrap();
}
