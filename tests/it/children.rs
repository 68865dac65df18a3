//! Runs that other runs start.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fastn::core::Timestamp;
use fastn::prelude::*;
use fastn_testkit::ManualClock;
use fastn_testkit::server::PrivatePostgres;

use crate::world::{Log, Res, builder, fails, failure_of, memory, noted, on_every_store};

const CHILD: Child<u64, u64> = Child::new("child");
const GRANDCHILD: Child<u64, u64> = Child::new("grandchild");

/// A workflow that runs another between two steps of its own, which are undone if it fails.
fn parent(name: &'static str, log: &Log, child: Child<u64, u64>) -> Workflow<u64, u64> {
    let undo = {
        let log = log.clone();
        move |_: u64| {
            log.note(format!("undo {name}"));
            async { Res::Ok(()) }
        }
    };
    workflow(name)
        .define(|flow, n| {
            let before = flow.step("before", noted(log, name).undo(undo), n);
            let given = flow.run("run", child, before);
            flow.step("after", noted(log, "after"), given)
        })
        .unwrap()
}

/// A workflow that waits until it is told to go on.
const GO: Signal<u64> = Signal::new("go");

fn waiting(name: &str) -> Workflow<u64, u64> {
    workflow(name).define(|flow, n: Out<'_, u64>| flow.wait("go", GO, n)).unwrap()
}

async fn until<T>(what: impl AsyncFn() -> Option<T>) -> T {
    loop {
        if let Some(found) = what().await {
            return found;
        }
        tokio::task::yield_now().await;
    }
}

/// The runs of a workflow.
async fn runs_of(engine: &Engine, workflow: &str) -> Vec<RunHandle<u64>> {
    let query = RunQuery { workflow: Some(workflow.parse().unwrap()), limit: 100, ..RunQuery::default() };
    let page = engine.runs().list(query).await.unwrap();
    page.runs.iter().map(|run| engine.runs().handle(&run.key.tenant, run.key.run)).collect()
}

#[tokio::test]
async fn a_run_gives_what_the_run_gave_that_it_started() {
    let log = Log::default();
    let double = workflow("child").define(|flow, n| flow.step("double", async |n: u64| Res::Ok(n * 2), n)).unwrap();
    let flow = parent("parent", &log, CHILD);
    for store in [None, Some(memory())] {
        let builder = store.into_iter().fold(builder(), |builder, store| builder.store(store));
        let engine = builder.serve(&flow).serve(&double).open().await.unwrap();
        assert_eq!(engine.start(&flow, 21).await.unwrap().output().await.unwrap(), 42);
        assert_eq!(log.take(), ["parent", "after"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_runs_have_one_child_for_each_item() {
    let double = workflow("child").define(|flow, n| flow.step("double", async |n: u64| Res::Ok(n * 2), n)).unwrap();
    let flow = workflow("parent")
        .define(|flow, n| {
            let list = flow.step("list", async |n: u64| Res::Ok((0..n).collect::<Vec<u64>>()), n);
            flow.each("each", list, |flow, n| flow.run("run", CHILD, n))
        })
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("runs.db").display());
    let engine = builder().store(url).serve(&flow).serve(&double).open().await.unwrap();
    let run = engine.start(&flow, 300).await.unwrap();
    assert_eq!(run.output().await.unwrap(), (0..300).map(|n| n * 2).collect::<Vec<u64>>());
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_workflow_that_nobody_serves_cannot_be_run_by_another() {
    let flow = parent("parent", &Log::default(), CHILD);
    let error = builder().store(memory()).serve(&flow).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let flow = parent("parent", &Log::default(), CHILD.version(2));
    let error = builder().store(memory()).serve(&flow).serve(&waiting("child")).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn the_failure_of_a_child_is_that_of_its_parent_and_tried_again_with_another() {
    let (log, store) = (Log::default(), memory());
    let tries = Arc::new(AtomicU64::new(0));
    let flaky = {
        let tries = tries.clone();
        move |n: u64| {
            let first = tries.fetch_add(1, Ordering::SeqCst) == 0;
            async move { if first { Err(StepError::new("not yet")) } else { Ok(n) } }
        }
    };
    let child = workflow("child").define(|flow, n| flow.step("flaky", flaky, n)).unwrap();
    let broken = workflow("broken").define(|flow, n| flow.step("never", fails, n)).unwrap();
    let again = workflow("again")
        .define(|flow, n| flow.run("run", CHILD.retry(Retry::fixed(millis(1)).attempts(2)), n))
        .unwrap();
    let fails = parent("fails", &log, Child::new("broken"));
    let engine = builder().store(store).serve(&child).serve(&broken).serve(&again).serve(&fails).open().await.unwrap();
    assert_eq!(engine.start(&again, 7).await.unwrap().output().await.unwrap(), 7);
    assert_eq!(runs_of(&engine, "child").await.len(), 2);
    let (status, failure) = failure_of(&engine.start(&fails, 7).await.unwrap()).await;
    assert_eq!((status, failure.node.as_deref()), (RunStatus::Failed, Some("run")));
    assert!(failure.message.contains("never: no"), "{failure}");
    assert_eq!(log.take(), ["fails", "undo fails"]);
}

/// From the innermost on, what was done is undone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_goes_down_to_grandchildren_and_the_undoing_comes_up() {
    for (name, park) in [("grandchildren", millis(0)), ("grandchildren_2", hours(1))] {
        on_every_store(name, async |store| {
            let log = Log::default();
            let (flow, child) = (parent("parent", &log, CHILD), parent("child", &log, GRANDCHILD));
            let note = log.clone();
            let held = move |cx: StepCx, _: u64| {
                note.note("held");
                async move {
                    cx.cancelled().await;
                    Err::<u64, _>(StepError::new("let go"))
                }
            };
            let undo = {
                let log = log.clone();
                move |_: u64| {
                    log.note("undo grandchild");
                    async { Res::Ok(()) }
                }
            };
            let grandchild = workflow("grandchild")
                .define(|flow, n| {
                    let before = flow.step("before", noted(&log, "grandchild").undo(undo), n);
                    flow.step("held", held, before)
                })
                .unwrap();
            let builder = builder().store(store.clone()).park_after(park);
            let engine = builder.serve(&flow).serve(&child).serve(&grandchild).open().await.unwrap();
            let run = engine.start(&flow, 7).await.unwrap();
            until(async || (log.count("held") > 0).then_some(())).await;
            assert!(run.cancel("enough").await.unwrap());
            let (status, failure) = failure_of(&run).await;
            assert_eq!((status, failure.message.as_str()), (RunStatus::Cancelled, "enough"));
            let done = ["parent", "child", "grandchild", "held", "undo grandchild", "undo child", "undo parent"];
            assert_eq!(log.take(), done);
            for name in ["child", "grandchild"] {
                let [run] = runs_of(&engine, name).await.try_into().unwrap();
                assert_eq!(run.status().await.unwrap(), RunStatus::Cancelled, "{name}");
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_child_that_is_left_or_detached_goes_on() {
    let log = Log::default();
    let leave = parent("leave", &log, CHILD.leave());
    let detach = workflow("detach").define(|flow, n| flow.run("run", CHILD.detach(), n)).unwrap();
    let child = waiting("child");
    let engine = builder().store(memory()).serve(&leave).serve(&detach).serve(&child).open().await.unwrap();
    let run = engine.start(&leave, 7).await.unwrap();
    let left = until(async || runs_of(&engine, "child").await.pop()).await;
    run.cancel("enough").await.unwrap();
    assert_eq!(failure_of(&run).await.0, RunStatus::Cancelled);
    left.signal(GO, &5).await.unwrap();
    assert_eq!(left.output().await.unwrap(), 5);

    let id = engine.start(&detach, 7).await.unwrap().output().await.unwrap();
    let detached = engine.runs().handle::<u64>(&TenantId::default(), id);
    detached.signal(GO, &6).await.unwrap();
    assert_eq!(detached.output().await.unwrap(), 6);
}

#[tokio::test]
async fn a_child_that_takes_too_long_is_cancelled() {
    let clock = ManualClock::at(Timestamp::EPOCH);
    let flow = workflow("parent").define(|flow, n| flow.run("run", CHILD.within(hours(1)), n)).unwrap();
    let child = waiting("child");
    let builder = builder().store(memory()).clock(Arc::new(clock.clone()));
    let engine = builder.serve(&flow).serve(&child).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    while run.status().await.unwrap() != RunStatus::Waiting {
        tokio::task::yield_now().await;
    }
    clock.advance(hours(1));
    let (status, failure) = failure_of(&run).await;
    assert_eq!((status, failure.kind), (RunStatus::Failed, FailureKind::TIMEOUT));
    assert_eq!(failure_of(&runs_of(&engine, "child").await[0]).await.0, RunStatus::Cancelled);
}

#[tokio::test]
async fn a_family_outlives_its_engines() {
    let (log, store) = (Log::default(), memory());
    let (flow, child, last) = (parent("parent", &log, CHILD), parent("child", &log, GRANDCHILD), waiting("grandchild"));
    let open = || builder().store(store.clone()).serve(&flow).serve(&child).serve(&last).open();
    let engine = open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    let (tenant, id) = (run.tenant().clone(), run.id());
    until(async || runs_of(&engine, "grandchild").await.pop()).await;
    engine.shutdown().await.unwrap();
    let engine = open().await.unwrap();
    let [grandchild] = runs_of(&engine, "grandchild").await.try_into().unwrap();
    grandchild.signal(GO, &9).await.unwrap();
    engine.shutdown().await.unwrap();
    let engine = open().await.unwrap();
    assert_eq!(engine.runs().handle::<u64>(&tenant, id).output().await.unwrap(), 9);
    assert_eq!(log.take(), ["parent", "child", "after", "after"]);
    assert_eq!((runs_of(&engine, "child").await.len(), runs_of(&engine, "grandchild").await.len()), (1, 1));
}

/// The executor of the children dies, and so does that of their parents.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_family_lives_on_several_executors_that_die() {
    let log = Log::default();
    let flow = parent("parent", &log, CHILD);
    let child = workflow("child").requires("gpu").define(|flow, n: Out<'_, u64>| flow.wait("go", GO, n)).unwrap();
    let url = PrivatePostgres::shared().unwrap().database("family").unwrap();
    let open = |tags: &[&str]| {
        builder().store(url.as_str()).tags(tags.to_vec()).lease(millis(900)).serve(&flow).serve(&child).open()
    };
    let (cpu, gpu) = (open(&[]).await.unwrap(), open(&["gpu"]).await.unwrap());
    let mut runs = Vec::new();
    for n in 0..10 {
        runs.push(cpu.start(&flow, n).await.unwrap());
    }
    let children = until(async || Some(runs_of(&cpu, "child").await).filter(|runs| runs.len() == 10)).await;
    for run in &children[..5] {
        run.signal(GO, &1).await.unwrap();
    }
    drop(gpu);
    let gpu = open(&["gpu"]).await.unwrap();
    drop(cpu);
    let cpu = open(&[]).await.unwrap();
    for run in &children[5..] {
        cpu.runs().handle::<u64>(run.tenant(), run.id()).signal(GO, &1).await.unwrap();
    }
    for run in &runs {
        assert_eq!(cpu.runs().handle::<u64>(run.tenant(), run.id()).output().await.unwrap(), 1);
    }
    assert_eq!(runs_of(&cpu, "child").await.len(), 10);
    let run = cpu.start(&flow, 11).await.unwrap();
    let child = until(async || {
        runs_of(&cpu, "child").await.into_iter().find(|run| !children.iter().any(|c| c.id() == run.id()))
    });
    let child = child.await;
    run.cancel("enough").await.unwrap();
    assert_eq!(failure_of(&run).await.0, RunStatus::Cancelled);
    assert_eq!(failure_of(&child).await.0, RunStatus::Cancelled);
    cpu.shutdown().await.unwrap();
    gpu.shutdown().await.unwrap();
}
