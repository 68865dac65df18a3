//! Runs that begin with what another one has done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fastn::core::{By, Event, Origin, Seed};
use fastn::flow::Graph;
use fastn::prelude::*;
use fastn::runtime::{AuditQuery, Fork};
use fastn::store::{Batch, DefinitionKey, NewRun, RunKey, Store, Write};

use crate::hazards::soon;
use crate::world::{Log, Res, builder, failure_of, memory, noted, on_every_store};

fn ann() -> By {
    By::new("ann", "the customer has moved")
}

/// Something to undo, two beside each other, and one that fails until it is let.
fn order(log: &Log, well: &Arc<AtomicBool>) -> Workflow<u64, u64> {
    let (noting, well) = (log.clone(), well.clone());
    let undo = move |n: u64| {
        noting.note(format!("undo {n}"));
        async { Res::Ok(()) }
    };
    let log = log.clone();
    workflow("order")
        .define(|flow, n| {
            let fetched = flow.step("fetch", noted(&log, "fetch"), n);
            let held = flow.step("reserve", noted(&log, "reserve").undo(undo), fetched);
            let label = flow.step("label", noted(&log, "label"), fetched);
            let noting = log.clone();
            let ship = move |held: u64, label: u64| {
                noting.note("ship");
                let well = well.load(Ordering::SeqCst);
                async move { if well { Ok(held * 10 + label) } else { Err(StepError::permanent("no van")) } }
            };
            flow.step("ship", ship, (held, label))
        })
        .unwrap()
}

async fn check_fork(store: Arc<dyn Store>) {
    let (log, well) = (Log::default(), Arc::new(AtomicBool::new(true)));
    let flow = order(&log, &well);
    let engine = builder().store(store.clone()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 4).await.unwrap();
    assert_eq!(soon("the run", run.output()).await.unwrap(), 44);
    log.take();
    let (tenant, id) = (run.tenant().clone(), run.id());
    let before = engine.runs().inspect(&tenant, id).await.unwrap().history;
    let runs = engine.runs();
    let output = async |run| soon("the fork", engine.runs().handle::<u64>(&tenant, run).output()).await.unwrap();

    // Asked twice it is one.
    let fork = || Fork::from_step("label").id(RunId::named("again"));
    let new = runs.fork(&tenant, id, fork(), ann()).await.unwrap();
    assert_eq!(output(new).await, 44);
    assert_eq!(log.take(), ["label", "ship"]);
    let found = runs.inspect(&tenant, new).await.unwrap();
    let origin = found.origin.unwrap();
    assert_eq!((origin.run, origin.step.as_deref(), &origin.by), (id, Some("label"), &ann()));
    assert_eq!((found.history.input, found.inherited.len()), (Payload::json("4"), 2));
    assert!(!found.history.records.iter().any(|record| matches!(&record.event, Event::Succeeded { at, .. } if at == found.inherited[0].event.address().unwrap())));

    // With another output, and another input, which what is kept was not made of.
    let new = runs.fork(&tenant, id, Fork::from_step("label").gives(&7), ann()).await.unwrap();
    assert_eq!((output(new).await, log.take()), (47, vec!["ship".to_owned()]));
    let new = runs.fork(&tenant, id, Fork::from_step("fetch").input(&5), ann()).await.unwrap();
    assert_eq!(output(new).await, 55);
    log.take();
    let second = runs.fork(&tenant, new, Fork::from_step("ship"), ann()).await.unwrap();
    assert_eq!((output(second).await, log.take()), (55, vec!["ship".to_owned()]), "a fork of a fork");

    assert_eq!(runs.inspect(&tenant, id).await.unwrap().history, before, "the old one is as it was");
    for (fork, kind) in [
        (Fork::from_step("nowhere"), ErrorKind::NotFound),
        (Fork::from_failure(), ErrorKind::Invalid),
        (Fork::from_step("ship").id(id), ErrorKind::Conflict),
    ] {
        assert_eq!(runs.fork(&tenant, id, fork, ann()).await.unwrap_err().kind(), kind);
    }
    let query = AuditQuery { deed: Some("fork".to_owned()), run: Some(id), ..AuditQuery::default() };
    let page = runs.audit(query).await.unwrap();
    assert_eq!(page.entries.iter().filter(|entry| entry.in_vain.is_none()).count(), 3, "{page:?}");
    engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_forked_from_a_step_on_and_the_old_one_stays_as_it_is() {
    on_every_store("forking", check_fork).await;
}

async fn check_retry(store: Arc<dyn Store>) {
    let (log, well) = (Log::default(), Arc::new(AtomicBool::new(false)));
    let flow = order(&log, &well);
    let engine = builder().store(store.clone()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 4).await.unwrap();
    soon("the run", run.output()).await.unwrap_err();
    assert_eq!(log.count("undo 4"), 1);
    log.take();
    well.store(true, Ordering::SeqCst);
    let (tenant, id) = (run.tenant().clone(), run.id());
    // Whoever asks serves nothing, and whoever serves it takes it.
    let other = builder().store(store.clone()).open().await.unwrap();
    let new = other.runs().fork(&tenant, id, Fork::from_failure(), ann()).await.unwrap();
    assert_eq!(soon("the fork", engine.runs().handle::<u64>(&tenant, new).output()).await.unwrap(), 44);
    assert_eq!(log.take(), ["reserve", "ship"], "what was undone is made again");
    other.shutdown().await.unwrap();
    engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_failed_goes_on_in_another_and_what_was_undone_is_done_again() {
    on_every_store("forking_retry", check_retry).await;
}

/// What says that steps were done that were not.
#[tokio::test]
async fn nothing_that_comes_from_outside_is_taken_for_what_another_run_has_done() {
    let (log, store) = (Log::default(), memory());
    let child = workflow("child").define(|flow, n| flow.step("do", noted(&log, "do"), n)).unwrap();
    let forged = Seed::new(Payload::json("7"), Origin::new(RunId::named("nobody"), None, By::default()), Vec::new());
    let forged = forged.write().unwrap();
    // As an answer of a server might, whose bytes are handed on.
    let answer = forged.clone();
    let answers = move |_: StepCx, _: Vec<Payload>| std::future::ready(Ok::<_, StepError>(answer.clone()));
    let mut parent = Graph::new("parent");
    parent.step("ask", answers);
    parent.run("child", Child::<u64, u64>::new("child").to_run()).needs(["ask"]);
    parent.output("child");
    let parent = parent.check().unwrap();
    // A damaged one is refused where it is read, and keeps no other run from being taken.
    let (plan, damaged) = (child.plan(), RunId::named("damaged"));
    let (workflow, version, shape) = (plan.name().clone(), plan.version(), plan.shape());
    let new = NewRun {
        key: RunKey { tenant: TenantId::default(), run: damaged },
        definition: DefinitionKey { workflow, version, shape },
        plan: None,
        input: Payload::new(forged.content().clone(), &b"\x85"[..]),
        created_at: Timestamp::EPOCH,
    };
    let batch = Batch { lease: None, now: Timestamp::EPOCH, writes: vec![Write::Create(Arc::new(new))] };
    store.commit(batch).await.unwrap();
    let engine = builder().store(store).serve(&child).serve(&parent).open().await.unwrap();
    let run = engine.start(&parent, serde_json::Value::Null).await.unwrap();
    let (_, failure) = failure_of(&run).await;
    assert_eq!(failure.node.as_deref(), Some("child"), "{failure:?}");
    assert!(failure.message.contains("no input"), "{failure:?}");
    assert_eq!(log.count("do"), 0);
    assert_eq!(engine.start(&child, 7).await.unwrap().output().await.unwrap(), 7);
    let damaged = engine.runs().inspect(&TenantId::default(), damaged).await.unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::Corrupt);
    engine.shutdown().await.unwrap();
}

/// What is left of a scope that was given up is not in the records of its steps.
#[tokio::test]
async fn a_run_that_contains_failure_is_not_forked() {
    let (log, store) = (Log::default(), memory());
    let flow = workflow("race").define(|flow, n| {
        let arm = |name: &'static str| noted(&log, name);
        let (one, two) = (arm("one"), arm("two"));
        flow.race("race", n)
            .arm("one", |flow, n| flow.step("one", one, n))
            .arm("two", |flow, n| flow.step("two", two, n))
            .first()
    });
    let flow = flow.unwrap();
    let engine = builder().store(store).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 4).await.unwrap();
    assert_eq!(soon("the run", run.output()).await.unwrap(), 4);
    let refused = engine.runs().fork(run.tenant(), run.id(), Fork::from_step("race"), ann()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.chain().join(" ").contains("start it anew"), "{refused:?}");
}
