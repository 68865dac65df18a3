//! What must hold when things happen at the worst moment: calls that are dropped half-way, alarms that go off between
//! an event and its commit, two who bring the same run into memory.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use fastn::core::Event;
use fastn::prelude::*;
use fastn::store::{RunKey, Store};
use fastn_testkit::{Fault, FaultStore, ManualClock};

use crate::slow_store::SlowStore;
use crate::world::{Log, Res, StepFuture, builder, fails, memory, noted};

/// Polls a future once, and drops it.
async fn poll_once(future: impl Future) {
    let mut future = Box::pin(future);
    std::future::poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        std::task::Poll::Ready(())
    })
    .await;
}

/// Gives every task of the test its turn so often that whatever can happen has happened: they share one thread, and what
/// they work on is in memory.
pub(crate) async fn settled() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Waits for a future; panics if that takes too long.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(Duration::from_secs(5), future).await else { panic!("{what} takes too long") };
    value
}

fn open_on(store: &Arc<dyn Store>) -> fastn::runtime::EngineBuilder {
    builder().store(store.clone())
}

#[tokio::test]
async fn a_step_with_a_deadline_ends_with_its_engine() {
    let ticks = Arc::new(AtomicU32::new(0));
    let counter = ticks.clone();
    let step = move |n: u64| {
        let counter = counter.clone();
        async move {
            while counter.fetch_add(1, Ordering::SeqCst) < u32::MAX {
                tokio::task::yield_now().await;
            }
            Res::Ok(n)
        }
    };
    let flow = workflow("w").define(|flow, n| flow.step("ticks", step.within(hours(1)), n)).unwrap();
    let engine = builder().store(memory()).grace(millis(1)).serve(&flow).open().await.unwrap();
    let _run = engine.start(&flow, 1).await.unwrap();
    while ticks.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    engine.shutdown().await.unwrap();
    let then = ticks.load(Ordering::SeqCst);
    settled().await;
    assert_eq!(ticks.load(Ordering::SeqCst), then, "it goes on after the engine's end");
}

#[tokio::test]
async fn a_start_that_is_dropped_half_way_starts_the_run_all_the_same() {
    let log = Log::default();
    let flow = workflow("w").define(|flow, n| flow.step("a", noted(&log, "a"), n)).unwrap();
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    poll_once(engine.start(&flow, 1).key("k").into_future()).await;
    let run = engine.runs().handle::<u64>(&TenantId::default(), RunId::named("k"));
    while engine.runs().list(RunQuery::default()).await.unwrap().runs.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(soon("the run", run.output()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_cancellation_that_is_dropped_half_way_cancels_all_the_same() {
    let log = Log::default();
    let wait = |_: u64| async {
        std::future::pending::<()>().await;
        Res::Ok(1_u64)
    };
    let flow = workflow("w")
        .define(|flow, n| {
            let a = flow.step("a", noted(&log, "a").undo(noted_undo(&log)), n);
            flow.step("waits", wait, a)
        })
        .unwrap();
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 1).await.unwrap();
    while log.count("a") == 0 {
        tokio::task::yield_now().await;
    }
    settled().await;
    poll_once(run.cancel("no")).await;
    assert_eq!(soon("the run", run.output()).await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(log.count("undo"), 1);
}

fn noted_undo(
    log: &Log,
) -> impl Fn(u64) -> Pin<Box<dyn Future<Output = Res<()>> + Send>> + Clone + Send + Sync + 'static {
    let log = log.clone();
    move |_| {
        let log = log.clone();
        Box::pin(async move {
            log.note("undo");
            Ok(())
        })
    }
}

#[tokio::test]
async fn a_start_under_way_is_told_when_its_engine_goes() {
    let log = Log::default();
    let flow = workflow("w").define(|flow, n| flow.step("a", noted(&log, "a"), n)).unwrap();
    let store = SlowStore::new(memory(), 9, 0);
    let engine = builder().store(store as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    let start = tokio::spawn(engine.start(&flow, 1).into_future());
    settled().await;
    drop(engine);
    let error = soon("the start", start).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

/// What the store has of the run named `k`.
async fn stored(store: &Arc<dyn Store>) -> Vec<Event> {
    let key = RunKey { tenant: TenantId::default(), run: RunId::named("k") };
    let history = store.read(&key).await.unwrap().unwrap();
    history.records.into_iter().map(|record| record.event).collect()
}

#[tokio::test]
async fn an_at_most_once_step_after_a_relaxed_one_begins_only_when_its_start_is_written() {
    let (store, log) = (memory(), Log::default());
    let (inside, note) = (store.clone(), log.clone());
    let pay = move |n: u64| -> StepFuture {
        let (store, log) = (inside.clone(), note.clone());
        Box::pin(async move {
            let started = stored(&store).await.iter().any(|event| matches!(event, Event::Started { .. }));
            log.note(format!("start written: {started}"));
            Ok(n)
        })
    };
    let flow = workflow("w")
        .define(|flow, n| {
            let a = flow.step("a", noted(&log, "a").durability(Durability::Relaxed), n);
            flow.step("pay", pay.durability(Durability::AtMostOnce), a)
        })
        .unwrap();
    let engine = open_on(&store).serve(&flow).open().await.unwrap();
    engine.start(&flow, 1).key("k").await.unwrap().output().await.unwrap();
    assert_eq!(log.take(), ["a", "start written: true"]);
}

#[tokio::test]
async fn nothing_is_undone_before_the_failure_of_a_relaxed_step_is_written() {
    let (store, log) = (memory(), Log::default());
    let (inside, note) = (store.clone(), log.clone());
    let undo = move |_: u64| {
        let (store, log) = (inside.clone(), note.clone());
        async move {
            let failed = stored(&store).await.iter().any(|event| matches!(event, Event::Failed { .. }));
            log.note(format!("failure written: {failed}"));
            Res::Ok(())
        }
    };
    let flow = workflow("w")
        .define(|flow, n| {
            let a = flow.step("a", noted(&log, "a").undo(undo), n);
            flow.step("fails", fails.durability(Durability::Relaxed), a)
        })
        .unwrap();
    let engine = open_on(&store).serve(&flow).open().await.unwrap();
    engine.start(&flow, 1).key("k").await.unwrap().output().await.unwrap_err();
    assert_eq!(log.take(), ["a", "failure written: true"]);
}

#[tokio::test]
async fn a_run_leaves_memory_only_when_all_of_it_is_written() {
    let log = Log::default();
    let flow = workflow("w")
        .define(|flow, n| {
            let a = flow.step("a", noted(&log, "a").durability(Durability::Relaxed), n);
            flow.sleep("rest", days(1), a)
        })
        .unwrap();
    let inner = memory();
    let store = SlowStore::new(inner.clone(), 9, 1);
    let engine = builder().store(store.clone() as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 1).key("k").await.unwrap();
    while log.count("a") == 0 {
        tokio::task::yield_now().await;
    }
    let later = async {
        settled().await;
        store.commits.add_permits(100);
    };
    let (cancelled, ()) = tokio::join!(soon("the cancellation", run.cancel("no")), later);
    assert!(cancelled.unwrap());
    assert_eq!(soon("the run", run.output()).await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(log.count("a"), 1, "what is recorded never runs again");
    assert!(matches!(stored(&inner).await.last(), Some(Event::Finished { .. })), "the end was acknowledged");
}

#[tokio::test]
async fn an_end_is_told_only_when_it_is_written_even_if_an_alarm_goes_off_before() {
    let log = Log::default();
    let flow = workflow("w").deadline(secs(1)).define(|flow, n| flow.step("a", noted(&log, "a"), n)).unwrap();
    let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
    let down = Arc::new(AtomicBool::new(false));
    let (refuse, note) = (down.clone(), log.clone());
    let store = FaultStore::new(memory(), move |_, _| {
        if note.count("a") > 0 {
            refuse.store(true, Ordering::SeqCst);
        }
        refuse.load(Ordering::SeqCst).then_some(Fault::Refused(ErrorKind::Unavailable))
    });
    let engine = builder()
        .store(Arc::new(store) as Arc<dyn Store>)
        .clock(Arc::new(clock.clone()))
        .patience(hours(1))
        .serve(&flow)
        .open()
        .await
        .unwrap();
    let run = engine.start(&flow, 1).await.unwrap();
    while !down.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    clock.advance(secs(2));
    let told = tokio::time::timeout(Duration::from_millis(100), run.outcome()).await;
    assert!(told.is_err(), "told {told:?}, and nothing of it is written");
}

#[tokio::test]
async fn a_run_that_is_attached_to_while_it_is_taken_over_runs_once() {
    let (inner, log) = (memory(), Log::default());
    let open = AtomicBool::new(false);
    let open = Arc::new(open);
    let (gate, note) = (open.clone(), log.clone());
    let step = move |n: u64| {
        let (gate, log) = (gate.clone(), note.clone());
        async move {
            if !gate.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            log.note("a");
            Res::Ok(n)
        }
    };
    let flow = workflow("w").define(|flow, n| flow.step("a", step, n)).unwrap();
    let engine = open_on(&inner).grace(millis(1)).serve(&flow).open().await.unwrap();
    engine.start(&flow, 1).key("k").await.unwrap();
    engine.shutdown().await.unwrap();

    open.store(true, Ordering::SeqCst);
    let store = SlowStore::new(inner, 0, 1000);
    let engine = builder().store(store.clone() as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    let (host, served) = (engine.clone(), flow.clone());
    let attached = tokio::spawn(async move { host.start(&served, 1).key("k").await.unwrap().output().await });
    // Time for the run to be attached to and to end, if that is possible already.
    settled().await;
    store.claims.add_permits(10);
    assert_eq!(soon("the run", attached).await.unwrap().unwrap(), 1);
    settled().await;
    engine.shutdown().await.unwrap();
    assert_eq!(log.count("a"), 1, "it was recorded, and ran again");
}

#[tokio::test]
async fn a_write_too_large_for_the_store_fails_its_run_alone() {
    let log = Log::default();
    let flow = workflow("w").define(|flow, n| flow.step("a", noted(&log, "a"), n)).unwrap();
    let store = FaultStore::new(memory(), |_, batch| {
        let large = |write: &fastn::store::Write| matches!(write, fastn::store::Write::Turn(turn) if turn.run.0 == 2);
        batch.writes.iter().any(large).then_some(Fault::Refused(ErrorKind::TooLarge))
    });
    let engine = builder().store(Arc::new(store) as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    let mut failed = 0;
    for n in 0..4 {
        failed += usize::from(engine.start(&flow, n).await.unwrap().output().await.is_err());
    }
    assert_eq!(failed, 1);
}

#[tokio::test]
async fn an_ephemeral_run_is_attached_to_like_any_other_and_nobody_waits_for_one_that_is_gone() {
    let wait = |n: u64| async move {
        settled().await;
        Res::Ok(n)
    };
    let flow = workflow("w").define(|flow, n| flow.step("a", wait, n)).unwrap();
    let engine = builder().serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 1).key("k").await.unwrap();
    assert_eq!(engine.start(&flow, 2).key("k").await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(engine.start(&flow, 1).key("k").await.unwrap().output().await.unwrap(), 1);
    assert_eq!(run.output().await.unwrap(), 1);
    let gone = engine.runs().handle::<u64>(&TenantId::default(), run.id());
    assert_eq!(soon("the outcome", gone.output()).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_run_that_is_about_to_be_taken_over_can_be_cancelled() {
    let inner = memory();
    let wait = |_: u64| async {
        std::future::pending::<()>().await;
        Res::Ok(1_u64)
    };
    let flow = workflow("w").define(|flow, n| flow.step("waits", wait, n)).unwrap();
    let engine = open_on(&inner).grace(millis(1)).serve(&flow).open().await.unwrap();
    let id = engine.start(&flow, 1).await.unwrap().id();
    engine.shutdown().await.unwrap();

    let store = SlowStore::new(inner, 0, 1000);
    let engine = builder().store(store.clone() as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    let runs = engine.runs();
    let cancelled = tokio::spawn(async move { runs.cancel(&TenantId::default(), id, "no").await });
    settled().await;
    store.claims.add_permits(10);
    assert!(soon("the cancellation", cancelled).await.unwrap().unwrap());
}

#[tokio::test]
async fn an_engine_that_is_dropped_gives_its_runs_and_its_file_back() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("runs.db").display());
    let log = Log::default();
    let flow = workflow("w").define(|flow, n| flow.step("a", noted(&log, "a"), n)).unwrap();
    let engine = builder().store(url.clone()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 1).await.unwrap();
    run.output().await.unwrap();
    drop(engine);
    // The handle is still there, and must not keep the file from the next engine.
    let opened = async {
        loop {
            match builder().store(url.clone()).stand_by(false).serve(&flow).open().await {
                Err(error) if error.kind() == ErrorKind::Locked => tokio::task::yield_now().await,
                other => return other.unwrap(),
            }
        }
    };
    soon("the next engine", opened).await;
    drop(run);
}

#[tokio::test]
async fn the_runs_of_an_engine_that_died_are_taken_over_by_one_that_was_there_before() {
    let store = memory();
    let stuck = Arc::new(AtomicBool::new(true));
    let step = move |n: u64| {
        let stuck = stuck.clone();
        async move {
            if stuck.swap(false, Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            Res::Ok(n)
        }
    };
    let flow = workflow("w").define(|flow, n| flow.step("a", step, n)).unwrap();
    let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
    let open = || open_on(&store).clock(Arc::new(clock.clone())).serve(&flow).open();
    let (first, second) = (open().await.unwrap(), open().await.unwrap());
    let id = first.start(&flow, 7).await.unwrap().id();
    let run = second.runs().handle::<u64>(&TenantId::default(), id);
    drop(first);
    let passes = async {
        loop {
            tokio::task::yield_now().await;
            clock.advance(secs(1));
        }
    };
    let output = async {
        tokio::select! { output = run.output() => output, () = passes => unreachable!() }
    };
    assert_eq!(soon("the run", output).await.unwrap(), 7);
}

/// Drops tasks instead of having them polled, once it is told to.
#[derive(Debug, Default)]
struct Dropping(AtomicBool);

impl fastn::runtime::Spawner for Dropping {
    fn spawn(&self, task: fastn::runtime::EngineTask) {
        if !self.0.load(Ordering::SeqCst) {
            drop(tokio::spawn(task));
        }
    }
}

#[tokio::test]
async fn an_attempt_whose_task_is_dropped_gave_no_result_and_nothing_is_recorded() {
    let (store, log, spawner) = (memory(), Log::default(), Arc::new(Dropping::default()));
    let dropping = spawner.clone();
    let drop_from_here = move |n: u64| {
        dropping.0.store(true, Ordering::SeqCst);
        async move { Res::Ok(n) }
    };
    let flow = workflow("w")
        .define(|flow, n| {
            let a = flow.step("a", drop_from_here, n);
            // An attempt that may be cut off is a task of its own.
            flow.step("b", noted(&log, "b").within(hours(1)), a)
        })
        .unwrap();
    let engine = open_on(&store).spawner(spawner).serve(&flow).open().await.unwrap();
    drop(engine.start(&flow, 7).key("k").await.unwrap());
    settled().await;
    let recorded = stored(&store).await;
    assert!(matches!(recorded.as_slice(), [Event::Succeeded { .. }]), "{recorded:?}");
    assert_eq!(log.count("b"), 0);
}

#[tokio::test]
async fn whoever_asks_for_a_run_that_was_lost_is_told_why_as_the_first_was() {
    let flow = workflow("w").define(|flow, n| flow.step("a", noted(&Log::default(), "a"), n)).unwrap();
    // Whatever turn the run takes is refused.
    let refuse = |_: u64, batch: &fastn::store::Batch| {
        let turns = batch.writes.iter().any(|write| matches!(write, fastn::store::Write::Turn(_)));
        turns.then_some(Fault::Refused(ErrorKind::Invalid))
    };
    let store: Arc<dyn Store> = Arc::new(FaultStore::new(memory(), refuse));
    let engine = open_on(&store).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 1).await.unwrap();
    assert_eq!(soon("the first", run.outcome()).await.unwrap_err().kind(), ErrorKind::Invalid);
    let again = engine.runs().handle::<u64>(run.tenant(), run.id());
    assert_eq!(soon("the second", again.outcome()).await.unwrap_err().kind(), ErrorKind::Invalid);
    engine.shutdown().await.unwrap();
}
