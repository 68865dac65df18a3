//! Runs that outlive the process they began in.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use fastn::prelude::*;
use fastn::store::Store;
use fastn_testkit::FaultStore;
use tokio::sync::Notify;

use crate::world::{Log, Res, builder, memory, noted, on_every_store};

/// A flow whose second step does not end before it is let.
fn gated(log: &Log, gate: &Arc<Notify>, version: u32) -> Workflow<u64, u64> {
    let (note, gate) = (log.clone(), gate.clone());
    let slow = move |n: u64| {
        let (note, gate) = (note.clone(), gate.clone());
        async move {
            note.note("slow begins");
            gate.notified().await;
            Res::Ok(n)
        }
    };
    workflow("gated")
        .version(version)
        .define(|flow, n| {
            let first = flow.step("first", noted(log, "first"), n);
            let slow = flow.step("slow", slow, first);
            flow.step("last", noted(log, "last"), slow)
        })
        .unwrap()
}

/// Starts a run of a gated flow with 7, and shuts its engine down while the second step is held.
async fn interrupted(store: &Arc<dyn Store>, flow: &Workflow<u64, u64>, log: &Log) -> (TenantId, RunId) {
    // An engine that does not wait for steps that are held.
    let engine = builder().store(store.clone()).grace(millis(1)).serve(flow).open().await.unwrap();
    let run = engine.start(flow, 7).await.unwrap();
    until(log, "slow begins").await;
    engine.shutdown().await.unwrap();
    (run.tenant().clone(), run.id())
}

async fn until(log: &Log, what: &str) {
    while log.count(what) == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_engine_that_is_dropped_leaves_its_runs_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("runs.db").display());
    let (log, gate) = (Log::default(), Arc::new(Notify::new()));
    let flow = gated(&log, &gate, 1);
    let engine = builder().store(url.clone()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    until(&log, "slow begins").await;
    let (tenant, id) = (run.tenant().clone(), run.id());
    drop((run, engine));
    assert_eq!(log.take(), ["first", "slow begins"]);

    // What was dropped may still be letting go of the file.
    let engine = builder().store(url.clone()).serve(&flow).open().await.unwrap();
    until(&log, "slow begins").await;
    gate.notify_one();
    assert_eq!(engine.runs().handle::<u64>(&tenant, id).output().await.unwrap(), 7);
    assert_eq!(log.take(), ["slow begins", "last"], "what was recorded did not run again");
}

#[tokio::test]
async fn an_engine_works_while_it_still_looks_for_unfinished_runs() {
    let (inner, log, gate) = (memory(), Log::default(), Arc::new(Notify::new()));
    let flow = gated(&log, &gate, 1);
    let (tenant, old) = interrupted(&inner, &flow, &log).await;

    let held = FaultStore::new(inner, |_, _| None).hold_claims();
    let store: Arc<dyn Store> = Arc::new(held.clone());
    // Not one that unloads runs: what is to be loaded waits for claims.
    let engine = Engine::builder().store(store).serve(&flow).open().await.unwrap();
    let new = engine.start(&flow, 8).await.unwrap();
    gate.notify_one();
    assert_eq!(new.output().await.unwrap(), 8);
    assert_eq!(engine.runs().inspect(&tenant, old).await.unwrap().outcome, None);
    held.let_claims();
    gate.notify_one();
    assert_eq!(engine.runs().handle::<u64>(&tenant, old).output().await.unwrap(), 7);
}

#[tokio::test]
async fn a_run_whose_version_is_not_served_waits_visibly_and_blocks_nothing() {
    let (store, log, gate) = (memory(), Log::default(), Arc::new(Notify::new()));
    let old = gated(&log, &gate, 1);
    let (tenant, id) = interrupted(&store, &old, &log).await;

    let new = gated(&log, &gate, 2);
    let engine = builder().store(store.clone()).serve(&new).open().await.unwrap();
    let plan = engine.runs().plan(&engine.runs().inspect(&tenant, id).await.unwrap().history.run).await.unwrap();
    assert_eq!(plan.unwrap().hash(), old.plan().hash(), "its plan can be looked at all the same");
    gate.notify_one();
    assert_eq!(engine.start(&new, 8).await.unwrap().output().await.unwrap(), 8);
    let inspection = engine.runs().inspect(&tenant, id).await.unwrap();
    assert_eq!(inspection.waits_for.as_deref(), Some("gated v1, which this engine does not serve"));
    assert_eq!(inspection.history.run.holder, None);
    engine.shutdown().await.unwrap();

    let engine = builder().store(store).serve(&new).serve(&old).open().await.unwrap();
    gate.notify_one();
    assert_eq!(engine.runs().handle::<u64>(&tenant, id).output().await.unwrap(), 7);
}

#[tokio::test]
async fn a_graph_that_was_changed_without_a_new_version_is_told() {
    on_every_store("changed", async |store| {
        let (store, log, gate) = (store.clone(), Log::default(), Arc::new(Notify::new()));
        let old = gated(&log, &gate, 1);
        let (tenant, id) = interrupted(&store, &old, &log).await;

        let changed: Workflow<u64, u64> =
            workflow("gated").define(|flow, n| flow.step("other", noted(&log, "other"), n)).unwrap();
        let engine = builder().store(store).serve(&changed).open().await.unwrap();
        let why = engine.runs().inspect(&tenant, id).await.unwrap().waits_for.unwrap();
        assert!(why.contains("its graph was changed without a new version"), "{why}");
    })
    .await;
}

#[tokio::test]
async fn policies_can_change_while_runs_are_in_flight() {
    on_every_store("policies", async |store| {
        let (store, log, gate) = (store.clone(), Log::default(), Arc::new(Notify::new()));
        let old = gated(&log, &gate, 1);
        let (tenant, id) = interrupted(&store, &old, &log).await;

        let tuned = workflow("gated")
            .define(|flow, n| {
                let first = flow.step("first", noted(&log, "first").retry(3), n);
                let slow = flow.step("slow", noted(&log, "slow").within(secs(9)), first);
                flow.step("last", noted(&log, "last"), slow)
            })
            .unwrap();
        let engine = builder().store(store).serve(&tuned).open().await.unwrap();
        let run = engine.runs().handle::<u64>(&tenant, id);
        assert_eq!(run.output().await.unwrap(), 7);
        assert_eq!(log.take(), ["first", "slow begins", "slow", "last"]);
    })
    .await;
}

#[tokio::test]
async fn a_second_engine_on_one_file_that_is_not_to_stand_by_is_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("runs.db").display());
    let engine = builder().store(url.clone()).open().await.unwrap();
    let error = builder().store(url.clone()).stand_by(false).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(format!("{error:?}").contains(&std::process::id().to_string()), "{error:?}");
    engine.shutdown().await.unwrap();
    builder().store(url).stand_by(false).open().await.unwrap().shutdown().await.unwrap();
}

/// Set for a copy of this test program that is to be killed: the path of its store and of its log.
const VICTIM: &str = "FASTN_TEST_VICTIM";

fn chain(log: std::path::PathBuf) -> Workflow<u64, u64> {
    let step = move |cx: StepCx, n: u64| {
        let log = log.clone();
        async move {
            let line = format!("{} {}\n", cx.info().run, cx.info().node);
            std::fs::OpenOptions::new().append(true).create(true).open(log)?.write_all(line.as_bytes())?;
            Res::Ok(n + 1)
        }
    };
    workflow("chain")
        .define(|flow, n| (0..20).fold(n, |port, i| flow.step(&format!("s{i}"), step.clone(), port)))
        .unwrap()
}

/// Not a test of its own: what the killed copy does. Without the variable it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Ok(dir) = std::env::var(VICTIM) else { return };
    let dir = std::path::PathBuf::from(dir);
    let flow = chain(dir.join("log"));
    let url = format!("sqlite:{}", dir.join("runs.db").display());
    let engine = builder().store(url).serve(&flow).open().await.unwrap();
    for key in 0..200 {
        let run = engine.start(&flow, key).key(&format!("run {key}")).await.unwrap();
        // From here on the parent may rely on the run.
        println!("started {}", run.id());
    }
    for key in 0..200 {
        engine.start(&flow, key).key(&format!("run {key}")).await.unwrap().output().await.unwrap();
    }
    println!("finished");
}

#[test]
fn killed_again_and_again_every_run_ends_and_nothing_recorded_runs_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut kills = 0;
    let mut started = std::collections::BTreeSet::new();
    // Killed after ever more lines of output, until one copy comes to its end.
    for lines in (1..).map(|i| i * 40) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "recovery::victim", "--nocapture", "--test-threads=1"])
            .env(VICTIM, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut finished = false;
        let mut seen = 0;
        for line in std::io::BufRead::lines(output) {
            let line = line.unwrap();
            started.extend(line.split("started ").nth(1).map(str::to_owned));
            finished |= line.contains("finished");
            seen += 1;
            if seen > lines && !finished {
                child.kill().unwrap();
                kills += 1;
                break;
            }
        }
        child.wait().unwrap();
        if finished {
            break;
        }
    }
    assert!(kills >= 3, "it was killed {kills} times");
    assert_eq!(started.len(), 200);
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    let mut times = std::collections::BTreeMap::new();
    for line in log.lines() {
        *times.entry(line).or_insert(0) += 1;
    }
    assert_eq!(times.len(), 200 * 20, "every step of every run ran");
    // A step may run again only where a kill came between its effect and its record: at most one a run and kill.
    let again: usize = times.values().map(|times| times - 1).sum();
    assert!(again <= 200 * kills, "{again} steps ran again after {kills} kills");
    for (line, times) in times {
        assert!(times <= 1 + kills, "{line} ran {times} times");
    }
}

#[tokio::test]
async fn an_attempt_with_a_deadline_ends_with_its_engine_too() {
    let (log, gate) = (Log::default(), Arc::new(Notify::new()));
    let (note, open) = (log.clone(), gate.clone());
    let slow = move |n: u64| {
        let (note, open) = (note.clone(), open.clone());
        async move {
            note.note("slow begins");
            open.notified().await;
            note.note("slow ends");
            Res::Ok(n)
        }
    };
    let flow = workflow("w").define(|flow, n| flow.step("slow", slow.within(secs(60)), n)).unwrap();
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    until(&log, "slow begins").await;
    drop((run, engine));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    gate.notify_one();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(log.take(), ["slow begins"], "when the engine is dropped, everything stops as in a crash");
}
