//! Failures that go no further than what they happened in: tries, races, items that may fail; on a store of each kind.

use std::sync::Arc;
use std::time::Duration;

use fastn::prelude::*;
use fastn::store::Store;
use tokio::sync::Notify;

use crate::hazards::soon;
use crate::world::{Log, Res, StepFuture, builder, failure_of, memory, noted, on_every_store};

/// A function for undo and finally that notes its name.
fn told(log: &Log, name: &'static str) -> impl Fn(u64) -> std::future::Ready<Res<()>> + Clone + Send + Sync + use<> {
    let log = log.clone();
    move |_| {
        log.note(name);
        std::future::ready(Ok(()))
    }
}

/// A step that fails so many times.
fn flaky(log: &Log, times: usize) -> impl Fn(u64) -> std::future::Ready<Res<u64>> + Clone + Send + Sync + use<> {
    let log = log.clone();
    move |n| {
        log.note("charge");
        let fails = log.count("charge") <= times;
        std::future::ready(if fails { Err(StepError::new("no").of_kind("declined")) } else { Ok(n) })
    }
}

fn pay(log: &Log, fails: usize) -> Workflow<u64, u64> {
    let taken = log.clone();
    let instead = move |(failure, n): (Failure, u64)| {
        taken.note(format!("instead of {}", failure.kind));
        async move { Res::Ok(n + 100) }
    };
    workflow("pay")
        .define(|flow, n| {
            let paid = flow
                .attempt("guard", n, |flow, n| {
                    let held = flow.step("reserve", noted(log, "reserve").undo(told(log, "release")), n);
                    flow.step("charge", flaky(log, fails), held)
                })
                .retry(Retry::fixed(Duration::from_millis(5)).attempts(2))
                .catch("declined", |flow, failed| flow.step("instead", instead, failed))
                .finally(told(log, "close"))
                .done();
            flow.step("after", noted(log, "after"), paid)
        })
        .unwrap()
}

async fn check_tries(store: Arc<dyn Store>) {
    let (once, always) = (Log::default(), Log::default());
    for (log, fails, gives) in [(&once, 1, 7), (&always, 9, 107)] {
        let flow = pay(log, fails);
        let engine = builder().store(store.clone()).serve(&flow).open().await.unwrap();
        let run = engine.start(&flow, 7).await.unwrap();
        assert_eq!(soon("the run", run.output()).await.unwrap(), gives);
        engine.shutdown().await.unwrap();
    }
    let twice = ["reserve", "charge", "release", "reserve", "charge"];
    assert_eq!(once.take(), [&twice[..], &["close", "after"]].concat());
    assert_eq!(always.take(), [&twice[..], &["release", "instead of declined", "close", "after"]].concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tried_is_undone_done_again_handled_and_finished() {
    on_every_store("contained_tries", check_tries).await;
}

/// A step that says when it is running, runs until it is stopped, and notes that it was.
fn endless(log: &Log, running: &Arc<Notify>) -> impl Fn(StepCx, u64) -> StepFuture + Clone + Send + Sync + use<> {
    let (log, running) = (log.clone(), running.clone());
    move |cx, _| {
        let (log, running) = (log.clone(), running.clone());
        Box::pin(async move {
            running.notify_one();
            cx.cancelled().await;
            assert!(cx.is_cancelled());
            log.note("stopped");
            Err(StepError::new("told to stop"))
        })
    }
}

/// A step that is done once another one runs.
fn quick(running: &Arc<Notify>) -> impl Fn(u64) -> StepFuture + Clone + Send + Sync + use<> {
    let running = running.clone();
    move |n| {
        let running = running.clone();
        Box::pin(async move {
            running.notified().await;
            Ok(n)
        })
    }
}

async fn check_races(store: Arc<dyn Store>) {
    let (log, running) = (Log::default(), Arc::new(Notify::new()));
    let flow = workflow("race")
        .define(|flow, n| {
            let won = flow
                .race("race", n)
                .arm("slow", |flow, n| {
                    let held = flow.step("held", noted(&log, "held").undo(told(&log, "undo held")), n);
                    flow.step("endless", endless(&log, &running), held)
                })
                .arm("quick", |flow, n| flow.step("quick", quick(&running), n))
                .first();
            flow.step("after", noted(&log, "after"), won)
        })
        .unwrap();
    let engine = builder().store(store).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    assert_eq!(soon("the race", run.output()).await.unwrap(), 7);
    assert_eq!(log.take(), ["held", "stopped", "undo held", "after"]);
    engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_losers_of_a_race_are_stopped_and_undone_before_it_is_over() {
    on_every_store("contained_races", check_races).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_does_not_listen_is_dropped_when_its_arm_loses_and_what_stands_beside_goes_on() {
    let (running, decided) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let begun = running.clone();
    let deaf = move |_: u64| {
        let begun = begun.clone();
        async move {
            begun.notify_one();
            std::future::pending::<()>().await;
            Res::Ok(0_u64)
        }
    };
    let tell = decided.clone();
    let after = move |n: u64| {
        tell.notify_one();
        async move { Res::Ok(n) }
    };
    let flow = workflow("race")
        .define(|flow, n| {
            // It ends only after the race is over, so it was not stopped with the arm that lost.
            let beside = flow.step("beside", quick(&decided), n);
            let won = flow
                .race("race", n)
                .arm("deaf", |flow, n| flow.step("deaf", deaf, n))
                .arm("quick", |flow, n| flow.step("quick", quick(&running), n))
                .first();
            let after = flow.step("after", after, won);
            flow.join("both", (beside, after))
        })
        .unwrap();
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    assert_eq!(soon("the race", run.output()).await.unwrap(), (7, 7));
}

async fn check_items(store: Arc<dyn Store>) {
    let log = Log::default();
    let odd = |n: u64| async move { if n % 2 == 1 { Err(StepError::permanent("odd").of_kind("odd")) } else { Ok(n) } };
    let flow = workflow("items")
        .define::<Vec<u64>, _>(|flow, items| {
            flow.each("each", items.at_most(1).tolerating(Tolerance::Percent(50)), |flow, n| {
                let held = flow.step("held", noted(&log, "held").undo(told(&log, "undo")), n);
                flow.step("odd", odd, held)
            })
        })
        .unwrap();
    let engine = builder().store(store).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, vec![0, 1, 2, 3]).await.unwrap();
    let settled = soon("the items", run.output()).await.unwrap();
    let result = |one: Settled<u64>| Result::from(one).map_err(|failure| failure.kind.to_string());
    let settled: Vec<Result<u64, String>> = settled.into_iter().map(result).collect();
    assert_eq!(settled, [Ok(0), Err("odd".to_owned()), Ok(2), Err("odd".to_owned())]);
    assert_eq!(log.take(), ["held", "held", "undo", "held", "held", "undo"]);

    let (status, failure) = failure_of(&engine.start(&flow, vec![1, 3, 5, 6]).await.unwrap()).await;
    assert_eq!((status, failure.kind), (RunStatus::Failed, FailureKind::AGGREGATE));
    assert_eq!(failure.chain, ["item 2: each[2]/odd: odd (odd)"]);
    engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_may_fail_and_what_was_done_of_them_is_undone() {
    on_every_store("contained_items", check_items).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_cancelled_in_the_middle_of_what_it_tries_is_undone_and_finished() {
    let (log, running) = (Log::default(), Arc::new(Notify::new()));
    let never = |(_, n): (Failure, u64)| async move { Res::Ok(n) };
    let flow = workflow("cancelled")
        .define(|flow, n| {
            flow.attempt("guard", n, |flow, n| {
                let held = flow.step("held", noted(&log, "held").undo(told(&log, "undo held")), n);
                flow.step("endless", endless(&log, &running), held)
            })
            .catch_all(|flow, failed| flow.step("never", never, failed))
            .finally(told(&log, "close"))
            .done()
        })
        .unwrap();
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    soon("the step", running.notified()).await;
    run.cancel("enough").await.unwrap();
    let (status, _) = soon("the end", failure_of(&run)).await;
    assert_eq!(status, RunStatus::Cancelled);
    assert_eq!(log.take(), ["held", "stopped", "undo held", "close"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_fails_on_purpose_says_why() {
    let flow = workflow("stop").define(|flow, why| flow.fail::<String, u64>("stop", "sold_out", why)).unwrap();
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, "nothing is left".to_owned()).await.unwrap();
    let (status, failure) = failure_of(&run).await;
    assert_eq!((status, failure.kind.as_str()), (RunStatus::Failed, "sold_out"));
    assert_eq!((failure.message.as_str(), failure.node.as_deref()), ("nothing is left", Some("stop")));
}
