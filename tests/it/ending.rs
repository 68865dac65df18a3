//! Runs that do not succeed: undo, cancel, deadlines of runs, shutdown.

use std::sync::Arc;

use fastn::prelude::*;
use tokio::sync::Notify;

use crate::world::{Log, Res, builder, fails, failure_of, memory, noted};

#[tokio::test]
async fn what_was_done_is_undone_last_first() {
    let log = Log::default();
    let undo = |name: &'static str| {
        let log = log.clone();
        move |_: u64| {
            log.note(name);
            async { Res::Ok(()) }
        }
    };
    let flow = workflow("trip")
        .define(|flow, n| {
            let a = flow.step("a", noted(&log, "a").undo(undo("undo a")), n);
            let b = flow.step("b", noted(&log, "b").undo(undo("undo b")), a);
            let c = flow.step("c", noted(&log, "c"), b);
            flow.step("fails", fails, c)
        })
        .unwrap();
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 1).await.unwrap();
    let error = run.output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RunFailed);
    assert_eq!(error.chain()[1], "fails: no (error)");
    assert_eq!(log.take(), ["a", "b", "c", "undo b", "undo a"]);
}

#[tokio::test]
async fn what_cannot_be_undone_is_visible() {
    let log = Log::default();
    async fn stuck(_: u64) -> Res<()> {
        Err(StepError::permanent("the bank is closed"))
    }
    let flow = workflow("trip")
        .define(|flow, n| {
            let a = flow.step("a", noted(&log, "a").undo(stuck), n);
            flow.step("fails", fails, a)
        })
        .unwrap();
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let (status, failure) = failure_of(&engine.start(&flow, 1).await.unwrap()).await;
    assert_eq!(status, RunStatus::Stuck);
    assert_eq!(failure.kind, FailureKind::COMPENSATION);
    assert_eq!(failure.chain, ["a: the bank is closed (error)", "fails: no (error)"]);
}

/// A step that says when it is running and runs until it is stopped.
fn endless(running: &Arc<Notify>) -> impl Fn(u64) -> crate::world::StepFuture + Clone + Send + Sync + 'static {
    let running = running.clone();
    move |n| {
        let running = running.clone();
        Box::pin(async move {
            running.notify_one();
            std::future::pending::<()>().await;
            Ok(n)
        })
    }
}

#[tokio::test]
async fn cancelling_stops_running_steps_and_undoes_finished_ones() {
    let (log, running) = (Log::default(), Arc::new(Notify::new()));
    let undone = log.clone();
    let undo = move |_: u64| {
        undone.note("undo a");
        async { Res::Ok(()) }
    };
    let flow = workflow("w")
        .define(|flow, n| {
            let a = flow.step("a", noted(&log, "a").undo(undo), n);
            flow.step("endless", endless(&running), a)
        })
        .unwrap();
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 1).await.unwrap();
    running.notified().await;
    assert!(run.cancel("changed my mind").await.unwrap());
    let (status, failure) = failure_of(&run).await;
    assert_eq!((status, failure.message.as_str()), (RunStatus::Cancelled, "changed my mind"));
    assert_eq!(run.output().await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(log.take(), ["a", "undo a"]);
    assert!(!run.cancel("again").await.unwrap(), "there is nothing left to cancel");
}

#[tokio::test]
async fn a_step_that_listens_is_given_time_to_end_by_itself() {
    let (log, running) = (Log::default(), Arc::new(Notify::new()));
    let (note, say) = (log.clone(), running.clone());
    let polite = move |cx: StepCx, n: u64| {
        let (note, say) = (note.clone(), say.clone());
        async move {
            let told = cx.cancelled();
            say.notify_one();
            told.await;
            tokio::task::yield_now().await;
            note.note("tidied up");
            Res::Ok(n)
        }
    };
    let flow = workflow("w").define(|flow, n| flow.step("polite", polite, n)).unwrap();
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 1).await.unwrap();
    running.notified().await;
    tokio::task::yield_now().await;
    run.cancel("enough").await.unwrap();
    assert_eq!(failure_of(&run).await.0, RunStatus::Cancelled);
    assert_eq!(log.take(), ["tidied up"]);
}

#[tokio::test]
async fn a_run_that_takes_too_long_fails_and_its_steps_stop() {
    let running = Arc::new(Notify::new());
    let flow = workflow("w").deadline(millis(30)).define(|flow, n| flow.step("endless", endless(&running), n)).unwrap();
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let (status, failure) = failure_of(&engine.start(&flow, 1).await.unwrap()).await;
    assert_eq!((status, failure.kind), (RunStatus::Failed, FailureKind::TIMEOUT));
}

#[tokio::test]
async fn shutdown_lets_running_steps_end_and_begins_no_new_ones() {
    let (log, running, go_on) = (Log::default(), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (note, say, wait) = (log.clone(), running.clone(), go_on.clone());
    let slow = move |n: u64| {
        let (note, say, wait) = (note.clone(), say.clone(), wait.clone());
        async move {
            say.notify_one();
            wait.notified().await;
            note.note("slow");
            Res::Ok(n)
        }
    };
    let flow = workflow("w")
        .define(|flow, n| {
            let slow = flow.step("slow", slow, n);
            flow.step("next", noted(&log, "next"), slow)
        })
        .unwrap();
    let store = memory();
    let engine = builder().store(store.clone()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 1).await.unwrap();
    running.notified().await;
    let stopping = tokio::spawn({
        let engine = engine.clone();
        async move { engine.shutdown().await }
    });
    tokio::task::yield_now().await;
    assert_eq!(engine.start(&flow, 2).await.unwrap_err().kind(), ErrorKind::Closed);
    go_on.notify_one();
    stopping.await.unwrap().unwrap();
    assert_eq!(log.take(), ["slow"]);
    assert_eq!(run.output().await.unwrap_err().kind(), ErrorKind::Closed);

    let engine = builder().store(store).serve(&flow).open().await.unwrap();
    let run = engine.runs().handle::<u64>(run.tenant(), run.id());
    assert_eq!(run.output().await.unwrap(), 1);
    assert_eq!(log.take(), ["next"], "what was recorded did not run again");
}

#[tokio::test]
async fn a_step_that_shutdown_drops_half_way_is_made_again_with_the_same_key() {
    let (log, running, gate) = (Log::default(), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (note, say, wait) = (log.clone(), running.clone(), gate.clone());
    let half = move |cx: StepCx, n: u64| {
        let (note, say, wait) = (note.clone(), say.clone(), wait.clone());
        async move {
            note.note(format!("{} attempt {}", cx.info().idempotency_key(), cx.info().attempt));
            say.notify_one();
            wait.notified().await;
            Res::Ok(n)
        }
    };
    let flow = workflow("w").define(|flow, n| flow.step("half", half, n)).unwrap();
    let store = memory();
    let engine = builder().store(store.clone()).grace(millis(20)).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 1).await.unwrap();
    running.notified().await;
    engine.shutdown().await.unwrap();
    assert_eq!(run.output().await.unwrap_err().kind(), ErrorKind::Closed);

    gate.notify_one();
    let engine = builder().store(store).serve(&flow).open().await.unwrap();
    assert_eq!(engine.runs().handle::<u64>(run.tenant(), run.id()).output().await.unwrap(), 1);
    let seen = log.take();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn shutdown_drops_steps_that_do_not_end() {
    let running = Arc::new(Notify::new());
    let flow = workflow("w").define(|flow, n| flow.step("endless", endless(&running), n)).unwrap();
    let engine = builder().store(memory()).grace(millis(20)).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 1).await.unwrap();
    running.notified().await;
    engine.shutdown().await.unwrap();
    assert_eq!(run.output().await.unwrap_err().kind(), ErrorKind::Closed);
}
