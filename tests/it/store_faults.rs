//! Stores that fail: an error surfaces, and nothing is acknowledged that was not written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fastn::prelude::*;
use fastn::store::{SqliteOptions, SqliteStore, Store, Write};
use fastn_testkit::{Fault, FaultStore};

use crate::slow_store::SlowStore;
use crate::world::{Log, StepFuture, builder, memory, noted};

fn three(log: &Log) -> Workflow<u64, u64> {
    workflow("three")
        .define(|flow, n| {
            let a = flow.step("a", noted(log, "a"), n);
            let b = flow.step("b", noted(log, "b"), a);
            flow.step("c", noted(log, "c"), b)
        })
        .unwrap()
}

#[tokio::test]
async fn a_store_that_recovers_in_time_is_not_noticed() {
    for fault in [Fault::Refused(ErrorKind::Unavailable), Fault::AnswerLost] {
        let log = Log::default();
        let flow = three(&log);
        // Every commit fails twice before it succeeds.
        let store = FaultStore::new(memory(), move |n, _| (n % 3 != 2).then_some(fault));
        let engine = builder().store(Arc::new(store) as Arc<dyn Store>).serve(&flow).open().await.unwrap();
        assert_eq!(engine.start(&flow, 7).await.unwrap().output().await.unwrap(), 7);
        assert_eq!(log.take(), ["a", "b", "c"], "lost answers ran nothing twice");
        engine.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_fails_for_good_surfaces_and_the_run_goes_on_elsewhere() {
    for (kind, at) in [(ErrorKind::Unavailable, 2), (ErrorKind::Corrupt, 2), (ErrorKind::Internal, 3)] {
        let log = Log::default();
        let flow = three(&log);
        let inner = memory();
        let store = FaultStore::new(inner.clone(), move |n, _| (n >= at).then_some(Fault::Refused(kind)));
        let engine =
            builder().store(Arc::new(store) as Arc<dyn Store>).patience(millis(20)).serve(&flow).open().await.unwrap();
        let run = engine.start(&flow, 7).await.unwrap();
        let error = run.output().await.unwrap_err();
        assert_eq!(error.kind(), kind);
        let steps = log.take();
        assert_eq!(steps, ["a", "b", "c"][..at as usize], "no step began whose predecessor was not written");
        let refused = engine.start(&flow, 8).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed);
        assert!(format!("{refused:?}").contains("halted"), "{refused:?}");
        let _ = engine.shutdown().await;

        let engine = builder().store(inner).serve(&flow).open().await.unwrap();
        assert_eq!(engine.runs().handle::<u64>(run.tenant(), run.id()).output().await.unwrap(), 7);
        assert_eq!(log.take(), ["a", "b", "c"][at as usize - 1..], "only what was not written ran again");
    }
}

#[tokio::test]
async fn a_store_that_comes_back_is_waited_for_beyond_all_patience() {
    let log = Log::default();
    let flow = three(&log);
    let back = Arc::new(AtomicBool::new(false));
    let (is_back, note) = (back.clone(), log.clone());
    // Away from the first result on.
    let store = FaultStore::new(memory(), move |_, _| {
        let away = note.count("a") > 0 && !is_back.load(Ordering::SeqCst);
        away.then_some(Fault::Refused(ErrorKind::Unavailable))
    });
    let store = Arc::new(store.that_comes_back()) as Arc<dyn Store>;
    let engine = builder().store(store).patience(millis(20)).lease(millis(300)).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    let output = run.output();
    tokio::pin!(output);
    for n in 8..11 {
        let refused = tokio::select! {
            told = &mut output => panic!("nothing can have ended: {told:?}"),
            refused = engine.start(&flow, n) => refused.unwrap_err(),
        };
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
    }
    back.store(true, Ordering::SeqCst);
    assert_eq!(output.await.unwrap(), 7);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_lease_that_is_lost_again_and_again_costs_nothing_but_time() {
    for times in [1, 3] {
        let log = Log::default();
        let flow = three(&log);
        let fenced = Arc::new(AtomicU64::new(0));
        let count = fenced.clone();
        // Turns that follow the first step find the lease gone, so many times.
        let note = log.clone();
        let store = FaultStore::new(memory(), move |_, _| {
            let fence = note.count("a") > 0 && count.fetch_add(1, Ordering::SeqCst) < times;
            fence.then_some(Fault::Refused(ErrorKind::Fenced))
        });
        let store = Arc::new(store) as Arc<dyn Store>;
        let engine = builder().store(store).lease(millis(300)).serve(&flow).open().await.unwrap();
        let run = engine.start(&flow, 7).await.unwrap();
        assert_eq!(run.output().await.unwrap(), 7, "whoever waits goes on waiting");
        assert_eq!(log.count("a"), 1 + times as usize, "what could not be recorded was done again");
        assert_eq!((log.count("b"), log.count("c")), (1, 1));
        engine.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_start_that_outlasts_the_loss_of_the_lease_gives_a_handle_that_tells_the_end() {
    let log = Log::default();
    let flow = three(&log);
    // The lease is gone, and the store away for long enough that the run is looked for, and is not there.
    let store = FaultStore::new(memory(), |n, _| match n {
        0 => Some(Fault::Refused(ErrorKind::Fenced)),
        1..8 => Some(Fault::Refused(ErrorKind::Unavailable)),
        _ => None,
    });
    let store = Arc::new(store) as Arc<dyn Store>;
    let engine = builder().store(store).lease(secs(60)).serve(&flow).open().await.unwrap();
    let (run, mut events) = engine.start(&flow, 7).watched().await.unwrap();
    assert_eq!(run.output().await.unwrap(), 7);
    assert!(events.next().await.is_some(), "and one that listens hears of it");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_start_that_was_not_written_is_not_acknowledged() {
    let log = Log::default();
    let flow = three(&log);
    let inner = memory();
    let store = FaultStore::new(inner.clone(), |_, _| Some(Fault::Refused(ErrorKind::Unavailable)));
    let engine =
        builder().store(Arc::new(store) as Arc<dyn Store>).patience(millis(10)).serve(&flow).open().await.unwrap();
    assert_eq!(engine.start(&flow, 7).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(log.take().is_empty());
    assert!(inner.list(RunQuery::default()).await.unwrap().runs.is_empty());
}

#[tokio::test]
async fn one_runs_bad_write_fails_that_run_alone() {
    let log = Log::default();
    let flow = three(&log);
    // Refuses every batch that holds a turn of run number 2: what a store does with a turn it cannot accept.
    let store = FaultStore::new(memory(), |_, batch| {
        let bad = |write: &Write| matches!(write, Write::Turn(turn) if turn.run.0 == 2);
        batch.writes.iter().any(bad).then_some(Fault::Refused(ErrorKind::Invalid))
    });
    let engine = builder().store(Arc::new(store) as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    let mut runs = Vec::new();
    for n in 0..4 {
        runs.push(engine.start(&flow, n).await.unwrap());
    }
    let mut failed = 0;
    for run in runs {
        failed += usize::from(run.output().await.is_err());
    }
    assert_eq!(failed, 1);
}

/// A database that cannot grow any more, with SQLite itself.
#[tokio::test]
async fn a_full_database_surfaces_and_with_room_again_nothing_recorded_runs_twice() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("runs.db");
    let log = Log::default();
    let note = log.clone();
    let grow = move |cx: StepCx, text: String| {
        note.note(cx.info().node.as_str());
        async move { Ok::<_, StepError>(format!("{text}{}", "x".repeat(40_000))) }
    };
    let names: Vec<String> = (0..12).map(|i| format!("s{i}")).collect();
    let flow: Workflow<String, String> = workflow("grow")
        .define(|flow, text| names.iter().fold(text, |port, name| flow.step(name, grow.clone(), port)))
        .unwrap();

    let full = SqliteStore::open(&path, SqliteOptions::default().max_bytes(600_000)).await.unwrap();
    let full: Arc<dyn Store> = Arc::new(full);
    let engine = builder().store(full.clone()).patience(millis(20)).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, String::new()).await.unwrap();
    let error = run.output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(format!("{error:?}").contains("database or disk is full"), "{error:?}");
    let (tenant, id) = (run.tenant().clone(), run.id());
    // That nothing could be written is told already.
    let _ = engine.shutdown().await;
    full.close().await.unwrap();
    let before = log.take();
    assert!((1..names.len()).contains(&before.len()), "{before:?}");

    let engine = builder().store(format!("sqlite:{}", path.display())).serve(&flow).open().await.unwrap();
    assert_eq!(engine.runs().handle::<String>(&tenant, id).output().await.unwrap().len(), 480_000);
    // The last step that was made is the one whose result found no room.
    assert_eq!(log.take(), names[before.len() - 1..]);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_store_that_works_again_in_the_middle_lets_the_run_go_on() {
    let log = Log::default();
    let flow = three(&log);
    let refused = Arc::new(AtomicBool::new(false));
    let (seen, note) = (refused.clone(), log.clone());
    // The first commit after the first step is refused, and no other.
    let store = FaultStore::new(memory(), move |_, _| {
        let refuse = note.count("a") > 0 && !seen.swap(true, Ordering::SeqCst);
        refuse.then_some(Fault::Refused(ErrorKind::Unavailable))
    });
    let engine = builder().store(Arc::new(store) as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    assert_eq!(engine.start(&flow, 7).await.unwrap().output().await.unwrap(), 7);
    assert!(refused.load(Ordering::SeqCst), "it was refused once");
    assert_eq!(log.take(), ["a", "b", "c"]);
}

#[tokio::test]
async fn steps_that_chose_so_do_not_wait_for_the_disk() {
    let log = Log::default();
    let flow = workflow("relaxed")
        .define(|flow, n| {
            (0..10)
                .fold(n, |port, i| flow.step(&format!("s{i}"), noted(&log, "s").durability(Durability::Relaxed), port))
        })
        .unwrap();
    let store = FaultStore::new(memory(), |_, _| None);
    let commits = store.clone();
    let engine = builder().store(Arc::new(store) as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    assert_eq!(engine.start(&flow, 7).await.unwrap().output().await.unwrap(), 7);
    assert!(commits.commits() < 10, "{} commits for 10 steps", commits.commits());
    assert_eq!(log.count("s"), 10);
}

#[tokio::test]
async fn a_store_that_panics_halts_the_engine_and_everybody_is_told() {
    let log = Log::default();
    let flow = three(&log);
    let inner = memory();
    let store = FaultStore::new(inner.clone(), |n, _| if n < 2 { None } else { panic!("a defect of the store") });
    let engine = builder().store(Arc::new(store) as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    let error = run.output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(format!("{error:?}").contains("a defect of the store"), "{error:?}");
    assert_eq!(engine.start(&flow, 8).await.unwrap_err().kind(), ErrorKind::Closed);
    let _ = engine.shutdown().await;

    let engine = builder().store(inner).serve(&flow).open().await.unwrap();
    assert_eq!(engine.runs().handle::<u64>(run.tenant(), run.id()).output().await.unwrap(), 7);
}

#[tokio::test]
async fn a_creation_whose_answer_and_whose_run_cannot_be_read_is_begun_all_the_same() {
    let log = Log::default();
    let flow = three(&log);
    let store = FaultStore::new(memory(), |n, _| (n == 0).then_some(Fault::AnswerLost)).refuse_reads(1);
    let engine = builder().store(Arc::new(store) as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    let error = engine.start(&flow, 7).key("order").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let run = engine.runs().handle::<u64>(&TenantId::default(), RunId::named("order"));
    assert_eq!(run.output().await.unwrap(), 7, "nobody else would have begun it");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn runs_whose_claim_lost_its_answer_go_on() {
    let log = Log::default();
    let flow = three(&log);
    let inner = memory();
    let engine = builder().store(inner.clone()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).key("order").await.unwrap().id();
    engine.shutdown().await.unwrap();
    log.take();

    let store = Arc::new(FaultStore::new(inner, |_, _| None).lose_claims(1)) as Arc<dyn Store>;
    let engine = builder().store(store).serve(&flow).open().await.unwrap();
    let run = engine.runs().handle::<u64>(&TenantId::default(), run);
    assert_eq!(run.output().await.unwrap(), 7);
    engine.shutdown().await.unwrap();
}

/// A step that notes its name after everything that can be done at once is done.
fn noted_late(log: &Log, name: &'static str) -> impl Fn(u64) -> StepFuture + Clone + Send + Sync + 'static {
    let log = log.clone();
    move |n| {
        let log = log.clone();
        Box::pin(async move {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            log.note(name);
            Ok(n)
        })
    }
}

/// A step that joins two.
fn join(log: &Log) -> impl Fn(u64, u64) -> StepFuture + Clone + Send + Sync + 'static {
    let log = log.clone();
    move |a, b| {
        log.note("join");
        Box::pin(async move { Ok(a + b) })
    }
}

#[tokio::test]
async fn a_step_after_a_relaxed_one_waits_for_the_strict_one_beside_it() {
    let log = Log::default();
    let flow = workflow("beside")
        .define(|flow, n| {
            let strict = flow.step("strict", noted(&log, "strict"), n);
            let relaxed = flow.step("relaxed", noted_late(&log, "relaxed").durability(Durability::Relaxed), n);
            flow.step("join", join(&log), (strict, relaxed))
        })
        .unwrap();
    // The creation is written, and nothing after it.
    let store = SlowStore::new(memory(), 10, 1);
    let engine = builder().store(store.clone() as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(log.take(), ["strict", "relaxed"], "the result of `strict` is not written");
    store.commits.add_permits(10);
    assert_eq!(run.output().await.unwrap(), 14);
    engine.shutdown().await.unwrap();
}

/// What the first relaxed one need not wait for is not what the second need not wait for.
#[tokio::test]
async fn a_step_after_a_relaxed_one_waits_for_the_strict_one_that_came_after_another_relaxed_one() {
    let log = Log::default();
    let flow = workflow("between")
        .define(|flow, n| {
            let _early = flow.step("early", noted(&log, "early").durability(Durability::Relaxed), n);
            let strict = flow.step("strict", noted(&log, "strict"), n);
            let late = flow.step("late", noted_late(&log, "late").durability(Durability::Relaxed), n);
            flow.step("join", join(&log), (strict, late))
        })
        .unwrap();
    // The creation is written, and nothing after it.
    let store = SlowStore::new(memory(), 10, 1);
    let engine = builder().store(store.clone() as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    crate::hazards::settled().await;
    assert_eq!(log.take(), ["early", "strict", "late"], "the result of `strict` is not written");
    store.commits.add_permits(10);
    assert_eq!(run.output().await.unwrap(), 14);
    assert_eq!(log.take(), ["join"]);
    engine.shutdown().await.unwrap();
}

/// What a wait is given is as durable as any wait, though it is given in the turn of a relaxed step.
#[tokio::test]
async fn a_step_after_a_wait_that_follows_a_relaxed_one_waits_until_it_is_written_what_it_was_given() {
    const PAID: Signal<u64> = Signal::new("paid");
    let (log, open) = (Log::default(), Arc::new(tokio::sync::Semaphore::new(0)));
    let (noting, gate) = (log.clone(), open.clone());
    let relaxed = move |n: u64| {
        let (log, gate) = (noting.clone(), gate.clone());
        async move {
            let _open = gate.acquire().await;
            log.note("relaxed");
            Ok::<_, StepError>(n)
        }
    };
    let flow = workflow("paid")
        .define(|flow, n| {
            let relaxed = flow.step("relaxed", relaxed.durability(Durability::Relaxed), n);
            let paid = flow.wait("payment", PAID, relaxed);
            flow.step("ship", noted(&log, "ship"), paid)
        })
        .unwrap();
    // The creation and the signal are written, and nothing after them.
    let store = SlowStore::new(memory(), 10, 2);
    let engine = builder().store(store.clone() as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    assert_eq!(run.signal(PAID, &100).await.unwrap(), Delivery::Told);
    open.add_permits(10);
    crate::hazards::settled().await;
    assert_eq!(log.take(), ["relaxed"], "who was given what is not written");
    store.commits.add_permits(10);
    assert_eq!(run.output().await.unwrap(), 100);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_shutdown_that_could_not_record_what_steps_gave_says_so() {
    let (log, clock) = (Log::default(), fastn_testkit::ManualClock::at(Timestamp::from_millis(0)));
    let flow = three(&log);
    let store = FaultStore::new(memory(), |n, _| (n == 1).then_some(Fault::Refused(ErrorKind::Corrupt)));
    let store = Arc::new(store) as Arc<dyn Store>;
    // Time stands still: nothing is waited for in vain.
    let engine = builder().store(store).clock(Arc::new(clock)).serve(&flow).open().await.unwrap();
    engine.start(&flow, 7).await.unwrap();
    let error = engine.shutdown().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(format!("{error:?}").contains("halted"), "{error:?}");
}
