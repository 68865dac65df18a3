//! What queues promise about runs that are one for many starts, on a store of each kind and by the clocks that these go by.

use std::sync::Arc;
use std::time::Instant;

use fastn::prelude::*;
use fastn::runtime::{Batching, Queue, Singleton};
use fastn::store::Store;
use tokio::sync::Semaphore;

use crate::hazards::soon;
use crate::world::{Log, Res, builder, noted, on_every_store};

/// A flow that notes its input and waits at a gate.
fn gated(log: &Log, open: &Arc<Semaphore>) -> Workflow<u64, u64> {
    let (log, open) = (log.clone(), open.clone());
    let step = move |n: u64| {
        let (log, open) = (log.clone(), open.clone());
        async move {
            log.note(n.to_string());
            // Closed is open.
            let _ = open.acquire().await;
            Res::Ok(n)
        }
    };
    workflow("gated").define(|flow, n| flow.step("gate", step, n)).unwrap()
}

async fn begun(log: &Log, n: &str) {
    let begins = async {
        while log.count(n) == 0 {
            tokio::task::yield_now().await;
        }
    };
    soon(n, begins).await;
}

async fn check_singletons(store: Arc<dyn Store>) {
    let (log, open) = (Log::default(), Arc::new(Semaphore::new(0)));
    let flow = gated(&log, &open);
    let engine = builder().store(store).queue(Queue::new("q")).serve(&flow).open().await.unwrap();
    let start = |n: u64, key: &str, singleton| engine.start(&flow, n).queue("q").queue_key(key).singleton(singleton);
    let first = start(1, "a", Singleton::Attach).await.unwrap();
    begun(&log, "1").await;
    assert_eq!(start(2, "a", Singleton::Attach).await.unwrap().id(), first.id());
    let refused = start(3, "a", Singleton::CancelNewest).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    start(4, "b", Singleton::CancelNewest).await.unwrap();
    begun(&log, "4").await;
    let last = start(5, "a", Singleton::CancelInProgress).await.unwrap();
    assert_eq!(soon("the first", first.output()).await.unwrap_err().kind(), ErrorKind::Cancelled);
    begun(&log, "5").await;
    open.close();
    assert_eq!(soon("the last", last.output()).await.unwrap(), 5);
    assert_eq!(log.take(), ["1", "4", "5"]);
    engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_singleton_is_attached_to_or_refuses_others_or_gives_way() {
    on_every_store("singletons", check_singletons).await;
}

async fn check_debounce(store: Arc<dyn Store>) {
    let log = Log::default();
    let flow = workflow("w").define(|flow, n| flow.step("do", noted(&log, "done"), n)).unwrap();
    let engine = builder().store(store).queue(Queue::new("q")).serve(&flow).open().await.unwrap();
    let start = |n: u64| engine.start(&flow, n).queue("q").debounce("page 3", millis(1_500), secs(60));
    let first = start(1).await.unwrap();
    for n in 2..6 {
        assert_eq!(start(n).await.unwrap().id(), first.id());
    }
    let last = Instant::now();
    assert_eq!(log.count("done"), 0);
    assert_eq!(soon("the run", first.output()).await.unwrap(), 5, "the last input");
    // What was said last was said before that.
    assert!(last.elapsed() > millis(1_400), "{:?}", last.elapsed());
    assert_eq!(log.count("done"), 1);
    assert_ne!(start(6).await.unwrap().id(), first.id(), "it has ended");
    // And no longer than was said, however often it is pushed back.
    let start = |n: u64| engine.start(&flow, n).queue("q").debounce("page 4", secs(60), secs(1));
    let run = start(1).await.unwrap();
    let began = Instant::now();
    while log.count("done") == 1 {
        assert!(began.elapsed() < secs(5), "it is pushed back for ever");
        let pushed = start(2).await.unwrap();
        assert!(pushed.id() == run.id() || began.elapsed() > millis(900), "{:?}", began.elapsed());
    }
    engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_runs_that_are_debounced_the_last_input_is_run_once() {
    on_every_store("debounced", check_debounce).await;
}

async fn check_batches(store: Arc<dyn Store>) {
    let log = Log::default();
    let noting = log.clone();
    let step = move |items: Vec<u64>| {
        noting.note(format!("{items:?}"));
        async move { Res::Ok(items.iter().sum::<u64>()) }
    };
    let flow = workflow("sum").define(|flow, items| flow.step("sum", step, items)).unwrap();
    let engine = builder().store(store).queue(Queue::new("q")).serve(&flow).open().await.unwrap();
    // Three are enough; of two the list is closed when it is time.
    let batching = Batching::new("q", 3, secs(2));
    let mut runs = Vec::new();
    for n in 1..6 {
        runs.push(engine.start_batched(&flow, n, &batching).deduplicate(format!("item {n}")).await.unwrap());
    }
    let again = engine.start_batched(&flow, 9, &batching).deduplicate("item 1").await.unwrap();
    assert_eq!(again.id(), runs[0].id());
    for (run, sum) in runs.iter().zip([6, 6, 6, 9, 9]) {
        assert_eq!(soon("the run", run.output()).await.unwrap(), sum);
    }
    let mut lists = log.take();
    lists.sort();
    assert_eq!(lists, ["[1, 2, 3]", "[4, 5]"]);
    engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_become_one_run_when_they_are_enough_or_when_it_is_time() {
    on_every_store("batches", check_batches).await;
}
