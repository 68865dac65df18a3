//! Starting runs, and engines.

use fastn::core::Part;
use fastn::prelude::*;

use crate::world::{Log, Res, builder, memory, noted};

fn once(log: &Log, version: u32) -> Workflow<u64, u64> {
    workflow("once").version(version).define(|flow, n| flow.step("a", noted(log, "a"), n)).unwrap()
}

#[tokio::test]
async fn starting_again_with_a_key_attaches_and_with_another_input_is_a_conflict() {
    let log = Log::default();
    let flow = once(&log, 1);
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let first = engine.start(&flow, 1).key("order-42").await.unwrap();
    let again = engine.start(&flow, 1).key("order-42").await.unwrap();
    assert_eq!(first.id(), again.id());
    assert_eq!(again.output().await.unwrap(), 1);
    let after = engine.start(&flow, 1).key("order-42").await.unwrap();
    assert_eq!(after.output().await.unwrap(), 1, "a run that is over is attached to as well");
    assert_eq!(log.take(), ["a"]);

    let error = engine.start(&flow, 2).key("order-42").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.chain()[1].contains("another input"), "{error:?}");
    let other = workflow("other").define(|flow, n| flow.step("a", noted(&log, "a"), n)).unwrap();
    let engine_of_both = builder().store(memory()).serve(&flow).serve(&other).open().await.unwrap();
    engine_of_both.start(&flow, 1).key("order-42").await.unwrap();
    let error = engine_of_both.start(&other, 1).key("order-42").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.chain()[1].contains("another workflow"), "{error:?}");

    let tenant = TenantId::new("other").unwrap();
    let theirs = engine.start(&flow, 2).key("order-42").tenant(tenant).await.unwrap();
    assert_eq!(theirs.output().await.unwrap(), 2, "another tenant's key is another run");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_start_the_same_run_at_once_start_one() {
    let log = Log::default();
    let flow = once(&log, 1);
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (engine, flow) = (engine.clone(), flow.clone());
            tokio::spawn(async move { engine.start(&flow, 1).key("same").await.unwrap().output().await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 1);
    }
    assert_eq!(log.count("a"), 1);
}

#[tokio::test]
async fn a_workflow_that_is_not_served_cannot_be_started() {
    let log = Log::default();
    let engine = builder().store(memory()).serve(&once(&log, 1)).open().await.unwrap();
    let error = engine.start(&once(&log, 2), 1).await.unwrap_err();
    assert_eq!(error.to_string(), "start run: not found (workflow once, version v2)");
}

#[tokio::test]
async fn a_workflow_that_is_registered_twice_is_an_error() {
    let log = Log::default();
    let flow = once(&log, 1);
    let error = builder().store(memory()).serve(&flow).serve(&flow).open().await.unwrap_err();
    assert_eq!(error.to_string(), "serve workflow: already exists (workflow once, version v1)");
    builder().store(memory()).serve(&flow).serve(&once(&log, 2)).open().await.unwrap();
}

#[tokio::test]
async fn an_input_that_is_too_large_is_refused_before_anything_is_stored() {
    async fn len(text: String) -> Res<u64> {
        Ok(text.len() as u64)
    }
    let flow = workflow("len").define(|flow, text| flow.step("len", len, text)).unwrap();
    let engine = builder().store(memory()).max_payload(100).serve(&flow).open().await.unwrap();
    assert_eq!(engine.start(&flow, "x".repeat(99)).await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(engine.runs().list(RunQuery::default()).await.unwrap().runs.is_empty());
}

#[test]
fn an_engine_outside_a_runtime_is_an_error_and_no_panic() {
    let future = builder().open();
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = future.as_mut().poll(&mut cx) else { panic!("it should fail at once") };
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn runs_are_listed_and_inspected() {
    let log = Log::default();
    let flow = once(&log, 1);
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let mut ids = Vec::new();
    for n in 0..5 {
        let run = engine.start(&flow, n).await.unwrap();
        run.output().await.unwrap();
        ids.insert(0, run.id());
    }
    let query = RunQuery { limit: 3, ..RunQuery::default() };
    let page = engine.runs().list(query.clone()).await.unwrap();
    let rest = engine.runs().list(RunQuery { before: page.next, ..query }).await.unwrap();
    let listed: Vec<_> = page.runs.iter().chain(&rest.runs).map(|run| run.key.run).collect();
    assert_eq!(listed, ids);
    assert_eq!(rest.next, None);

    let inspection = engine.runs().inspect(&TenantId::default(), ids[0]).await.unwrap();
    assert_eq!(inspection.outcome, Some(Outcome::Succeeded(Payload::json("4"))));
    assert_eq!(inspection.history.records.len(), 2);
    let missing = engine.runs().inspect(&TenantId::default(), RunId::named("nobody")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let nobody = engine.runs().handle::<u64>(&TenantId::default(), RunId::named("nobody"));
    assert_eq!(nobody.output().await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_happens_can_be_watched() {
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    let gate = go.clone();
    let tells = move |cx: StepCx, n: u64| {
        let gate = gate.clone();
        async move {
            gate.notified().await;
            cx.progress(&50)?;
            Res::Ok(n)
        }
    };
    let flow = workflow("w").define(|flow, n| flow.step("tells", tells, n)).unwrap();
    let engine = builder().serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 1).await.unwrap();
    let mut events = run.events();
    go.notify_one();
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        seen.push(event);
    }
    let node = "tells".to_owned();
    let expected = [
        RunEvent::Progress { node: node.clone(), data: Payload::json("50") },
        RunEvent::Succeeded { node: node.clone(), part: Part::Work },
    ];
    assert!(seen.ends_with(&expected), "{seen:?}");
}

#[tokio::test]
async fn who_listens_to_a_run_that_is_over_is_told_so() {
    let log = Log::default();
    let flow = once(&log, 1);
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 1).key("over").await.unwrap();
    run.output().await.unwrap();
    assert_eq!(run.events().next().await, None);
    let (tenant, id) = (run.tenant().clone(), run.id());
    drop(run);

    let attached = engine.start(&flow, 1).key("over").await.unwrap();
    assert_eq!(attached.events().next().await, None);
    let (_, mut events) = engine.start(&flow, 1).key("over").watched().await.unwrap();
    assert_eq!(events.next().await, None);
    drop((attached, events));
    let found = engine.runs().handle::<u64>(&tenant, id);
    assert_eq!(found.events().next().await, None);
    let nobody = engine.runs().handle::<u64>(&tenant, RunId::named("nobody"));
    assert_eq!(nobody.events().next().await, None);
}

#[tokio::test]
async fn an_ephemeral_engine_forgets_runs_that_are_over() {
    let log = Log::default();
    let flow = once(&log, 1);
    let engine = builder().serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 1).await.unwrap();
    run.output().await.unwrap();
    let again = engine.runs().handle::<u64>(run.tenant(), run.id());
    assert_eq!(again.output().await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(again.events().next().await, None);
}
