//! Stores that fail: an error surfaces, and nothing is acknowledged that was not written.

use std::sync::Arc;

use fastn::prelude::*;
use fastn::store::{SqliteOptions, SqliteStore, Store, Write};
use fastn_testkit::{Fault, FaultStore};

use crate::world::{Log, Res, memory, noted};

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
        let engine = Engine::builder().store(Arc::new(store) as Arc<dyn Store>).serve(&flow).open().await.unwrap();
        assert_eq!(engine.start(&flow, 7).await.unwrap().output().await.unwrap(), 7);
        assert_eq!(log.take(), ["a", "b", "c"], "lost answers ran nothing twice");
        engine.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_fails_for_good_surfaces_and_the_run_goes_on_elsewhere() {
    for (kind, at) in [(ErrorKind::Unavailable, 2), (ErrorKind::Corrupt, 2), (ErrorKind::Fenced, 3)] {
        let log = Log::default();
        let flow = three(&log);
        let inner = memory();
        let store = FaultStore::new(inner.clone(), move |n, _| (n >= at).then_some(Fault::Refused(kind)));
        let engine = Engine::builder()
            .store(Arc::new(store) as Arc<dyn Store>)
            .patience(millis(20))
            .serve(&flow)
            .open()
            .await
            .unwrap();
        let run = engine.start(&flow, 7).await.unwrap();
        let error = run.output().await.unwrap_err();
        assert_eq!(error.kind(), kind);
        let steps = log.take();
        assert_eq!(steps, ["a", "b", "c"][..at as usize], "no step began whose predecessor was not written");
        let refused = engine.start(&flow, 8).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed);
        assert!(format!("{refused:?}").contains("halted"), "{refused:?}");
        let _ = engine.shutdown().await;

        let engine = Engine::builder().store(inner).serve(&flow).open().await.unwrap();
        assert_eq!(engine.runs().handle::<u64>(run.tenant(), run.id()).output().await.unwrap(), 7);
        assert_eq!(log.take(), ["a", "b", "c"][at as usize - 1..], "only what was not written ran again");
    }
}

#[tokio::test]
async fn a_start_that_was_not_written_is_not_acknowledged() {
    let log = Log::default();
    let flow = three(&log);
    let inner = memory();
    let store = FaultStore::new(inner.clone(), |_, _| Some(Fault::Refused(ErrorKind::Unavailable)));
    let engine = Engine::builder()
        .store(Arc::new(store) as Arc<dyn Store>)
        .patience(millis(10))
        .serve(&flow)
        .open()
        .await
        .unwrap();
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
    let engine = Engine::builder().store(Arc::new(store) as Arc<dyn Store>).serve(&flow).open().await.unwrap();
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

#[tokio::test]
async fn a_disk_that_is_full_in_the_middle_surfaces_and_what_was_acknowledged_is_there() {
    async fn grow(text: String) -> Res<String> {
        Ok(text + &"x".repeat(5_000))
    }
    let flow = workflow("grow")
        .define(|flow, text| (0..8).fold(text, |port, i| flow.step(&format!("s{i}"), grow, port)))
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("runs.db");
    let open = |options| {
        let (path, flow) = (path.clone(), flow.clone());
        async move {
            let store = SqliteStore::open(path, options).await.unwrap();
            let builder = Engine::builder().store(Arc::new(store) as Arc<dyn Store>).patience(millis(30));
            builder.serve(&flow).open().await.unwrap()
        }
    };
    let engine = open(SqliteOptions::default().max_bytes(4 << 20)).await;
    let (mut started, mut finished) = (Vec::new(), 0);
    let refused = loop {
        match engine.start(&flow, String::new()).await {
            Ok(run) => {
                started.push(run.id());
                match run.output().await {
                    Ok(_) => finished += 1,
                    Err(error) => break error,
                }
            }
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.chain().join(" ").contains("full"), "{refused:?}");
    assert!(finished > 2, "there was room for some");
    let _ = engine.shutdown().await;

    let engine = open(SqliteOptions::default()).await;
    for id in started {
        let run = engine.runs().handle::<String>(&TenantId::default(), id);
        assert_eq!(run.output().await.unwrap().len(), 40_000);
    }
    engine.shutdown().await.unwrap();
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
    let engine = Engine::builder().store(Arc::new(store) as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    assert_eq!(engine.start(&flow, 7).await.unwrap().output().await.unwrap(), 7);
    assert!(commits.commits() < 10, "{} commits for 10 steps", commits.commits());
    assert_eq!(log.count("s"), 10);
}
