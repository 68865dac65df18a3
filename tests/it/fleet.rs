//! Several engines on one store: each can start, await and cancel any run, and whoever is gone or held up is replaced.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastn::prelude::*;
use fastn::store::{ClaimAsk, LeaseAsk, Message, ReceiveAsk, RunKey, Sent, Store, Suspects};
use fastn_testkit::{FaultStore, ManualClock, MeterStore};
use tokio::sync::{Notify, Semaphore};

use crate::slow_store::SlowStore;
use crate::world::{Log, Res, builder, memory, noted};

/// Notes where it begins, and does not end before it is let.
fn gate(
    log: &Log,
    name: &'static str,
    open: &Arc<Semaphore>,
) -> impl Fn(u64) -> crate::world::StepFuture + Clone + Send + Sync + 'static {
    let (log, open) = (log.clone(), open.clone());
    move |n| {
        let (log, open) = (log.clone(), open.clone());
        Box::pin(async move {
            log.note(name);
            // Closed is open.
            let _ = open.acquire().await;
            Ok(n)
        })
    }
}

/// A flow with a gate in its middle, whose first step can be undone.
fn gated(log: &Log, name: &'static str, open: &Arc<Semaphore>) -> Workflow<u64, u64> {
    let note = log.clone();
    let undo = move |_: u64| {
        let note = note.clone();
        async move {
            note.note("undo");
            Res::Ok(())
        }
    };
    workflow("gated")
        .define(|flow, n| {
            let first = flow.step("first", noted(log, "first").undo(undo), n);
            let slow = flow.step("slow", gate(log, name, open), first);
            flow.step("last", noted(log, "last"), slow)
        })
        .unwrap()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(20), "{what} did not come");
        tokio::task::yield_now().await;
    }
}

async fn engine(store: &Arc<dyn Store>, flow: &Workflow<u64, u64>) -> Engine {
    builder().store(store.clone()).grace(millis(10)).serve(flow).open().await.unwrap()
}

fn shut() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}

#[tokio::test]
async fn a_run_is_cancelled_and_awaited_by_an_engine_that_does_not_have_it() {
    let (store, log, open) = (memory(), Log::default(), shut());
    let flow = gated(&log, "slow", &open);
    let (first, second) = (engine(&store, &flow).await, engine(&store, &flow).await);
    let here = first.start(&flow, 7).await.unwrap();
    until("the step", async || log.count("slow") == 1).await;
    let there = second.runs().handle::<u64>(here.tenant(), here.id());
    let began = Instant::now();
    assert!(there.cancel("the customer has left").await.unwrap());
    let told = there.output().await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}, and nothing was polled for", began.elapsed());
    assert_eq!(told.kind(), ErrorKind::Cancelled);
    assert!(format!("{told:?}").contains("the customer has left"), "{told:?}");
    assert_eq!(here.output().await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(log.take(), ["first", "slow", "undo"]);
    assert!(!there.cancel("again").await.unwrap(), "there is nothing left to cancel");
    let nobody = second.runs().cancel(&TenantId::default(), RunId::named("nobody"), "no").await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NotFound);
}

/// One that means nothing only because of another that is on its way to the disk.
#[tokio::test]
async fn a_cancellation_is_acknowledged_when_the_one_that_makes_it_mean_nothing_is_durable() {
    let (store, log, open) = (memory(), Log::default(), shut());
    let flow = gated(&log, "slow", &open);
    let slow = SlowStore::new(store.clone(), 1_000, 1_000);
    let first = engine(&(slow.clone() as Arc<dyn Store>), &flow).await;
    let run = first.start(&flow, 7).await.unwrap();
    until("the step", async || log.count("slow") == 1).await;
    // From here on nothing is written.
    slow.commits.forget_permits(1_000);
    let here = tokio::spawn({
        let run = first.runs().handle::<u64>(run.tenant(), run.id());
        async move { run.cancel("one").await }
    });
    crate::hazards::settled().await;
    let second = engine(&store, &flow).await;
    assert!(second.runs().cancel(run.tenant(), run.id(), "two").await.unwrap());
    let key = RunKey { tenant: run.tenant().clone(), run: run.id() };
    let holder = store.read(&key).await.unwrap().unwrap().run.holder.unwrap();
    let waiting = async || {
        let ask = ReceiveAsk { lease: holder, after: None, limit: 10 };
        store.receive(ask).await.unwrap().len()
    };
    // Time enough to hear of it, and to acknowledge it too early.
    crate::hazards::settled().await;
    tokio::time::sleep(millis(50)).await;
    assert_eq!(waiting().await, 1);
    slow.commits.add_permits(1_000);
    assert!(here.await.unwrap().unwrap());
    assert_eq!(run.output().await.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn a_run_that_sleeps_in_another_engine_is_cancelled_too() {
    let (store, log) = (memory(), Log::default());
    let flow = workflow("w")
        .define(|flow, n| {
            let rested = flow.sleep("rest", days(9), n);
            flow.step("after", noted(&log, "after"), rested)
        })
        .unwrap();
    let (first, second) = (engine(&store, &flow).await, engine(&store, &flow).await);
    let run = first.start(&flow, 7).await.unwrap();
    until("the sleep", async || run.status().await.unwrap() == RunStatus::Waiting).await;
    let there = second.runs().handle::<u64>(run.tenant(), run.id());
    assert!(there.cancel("no").await.unwrap());
    assert_eq!(there.output().await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(log.count("after"), 0);
}

#[tokio::test]
async fn a_message_to_a_run_that_nobody_has_waits_for_whoever_serves_it() {
    let (store, log, open) = (memory(), Log::default(), shut());
    let flow = gated(&log, "slow", &open);
    let first = engine(&store, &flow).await;
    let run = first.start(&flow, 7).await.unwrap();
    until("the step", async || log.count("slow") == 1).await;
    first.shutdown().await.unwrap();
    // This one serves nothing of the kind.
    let other = builder().store(store.clone()).open().await.unwrap();
    assert!(other.runs().cancel(run.tenant(), run.id(), "no").await.unwrap());
    assert_eq!(other.runs().inspect(run.tenant(), run.id()).await.unwrap().outcome, None);
    let waiting = other.runs().handle::<u64>(run.tenant(), run.id());
    let _second = engine(&store, &flow).await;
    assert_eq!(waiting.output().await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(log.count("undo"), 1);
}

#[tokio::test]
async fn a_message_of_a_later_build_waits_and_holds_up_no_other() {
    let (store, log, open) = (memory(), Log::default(), shut());
    let flow = gated(&log, "slow", &open);
    let engine = engine(&store, &flow).await;
    let run = engine.start(&flow, 7).await.unwrap();
    until("the step", async || log.count("slow") == 1).await;
    let key = fastn::store::RunKey { tenant: run.tenant().clone(), run: run.id() };
    let message = |id: u8, body: &'static str| {
        let sent_at = Timestamp::from_millis(0);
        Message { id: [id; 16], run: key.clone(), body: body.into(), sent_at }
    };
    let later = message(1, r#"{"v":9,"kind":"dance"}"#);
    let garbage = message(2, "[[[");
    let cancel = message(3, r#"{"v":1,"kind":"cancel","reason":"from outside"}"#);
    let sent = store.send(vec![later.clone(), garbage, cancel.clone()]).await.unwrap();
    assert_eq!(sent, [Sent::Accepted; 3]);
    let failure = run.output().await.unwrap_err();
    assert!(format!("{failure:?}").contains("from outside"), "{failure:?}");
    assert_eq!(store.send(vec![cancel]).await.unwrap(), [Sent::Known]);
}

#[tokio::test]
async fn the_runs_of_an_engine_that_shuts_down_go_on_in_another_at_once() {
    let (store, log, open) = (memory(), Log::default(), shut());
    let flow = gated(&log, "slow", &open);
    let (first, second) = (engine(&store, &flow).await, engine(&store, &flow).await);
    let mut runs = Vec::new();
    for n in 0..20 {
        runs.push(first.start(&flow, n).await.unwrap().id());
    }
    until("the steps", async || log.count("slow") == 20).await;
    open.close();
    let began = Instant::now();
    first.shutdown().await.unwrap();
    for (n, run) in runs.iter().enumerate() {
        let run = second.runs().handle::<u64>(&TenantId::default(), *run);
        assert_eq!(run.output().await.unwrap(), n as u64);
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}: they were handed over", began.elapsed());
    assert_eq!((log.count("first"), log.count("last")), (20, 20), "what was recorded did not run again");
}

/// A store of which a process can be cut off.
fn cable(store: &Arc<dyn Store>) -> (FaultStore, Arc<dyn Store>) {
    let cable = FaultStore::new(store.clone(), |_, _| None);
    (cable.clone(), Arc::new(cable))
}

#[tokio::test]
async fn an_engine_that_is_held_up_loses_its_runs_commits_nothing_and_comes_back() {
    let (store, log, open) = (memory(), Log::default(), shut());
    let flow = gated(&log, "slow in the first", &open);
    let other = gated(&log, "slow in the second", &open);
    let (cable, cut) = cable(&store);
    let open_on = |store: Arc<dyn Store>, flow| builder().store(store).lease(millis(300)).serve(flow).open();
    let first = open_on(cut, &flow).await.unwrap();
    let run = first.start(&flow, 7).await.unwrap();
    until("the step", async || log.count("slow in the first") == 1).await;
    // As if it were stopped: nothing of it reaches the store.
    cable.hold_renewals();
    let second = open_on(store.clone(), &other).await.unwrap();
    until("the other engine", async || log.count("slow in the second") == 1).await;
    open.close();
    assert_eq!(second.runs().handle::<u64>(run.tenant(), run.id()).output().await.unwrap(), 7);
    // Whoever waits in the first is told the end that the second has recorded.
    assert_eq!(run.output().await.unwrap(), 7);
    assert_eq!((log.count("first"), log.count("last")), (1, 1), "nothing recorded ran again");
    cable.let_renewals();
    // It has come back, and has runs of its own.
    second.shutdown().await.unwrap();
    assert_eq!(first.start(&flow, 8).await.unwrap().output().await.unwrap(), 8);
    first.shutdown().await.unwrap();
}

#[tokio::test]
async fn no_attempt_begins_while_the_lease_cannot_be_renewed() {
    let (store, log, open) = (memory(), Log::default(), shut());
    let flow = gated(&log, "slow", &open);
    let (cable, cut) = cable(&store);
    let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
    let engine = builder().store(cut).clock(Arc::new(clock.clone())).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    until("the step", async || log.count("slow") == 1).await;
    cable.hold_renewals();
    clock.advance(secs(6));
    // Nobody has taken the run over, so the result is recorded; but what follows may be another's to do.
    open.close();
    until("the result", async || {
        engine.runs().inspect(run.tenant(), run.id()).await.unwrap().history.records.len() == 2
    })
    .await;
    settled().await;
    assert_eq!(log.take(), ["first", "slow"]);
    cable.let_renewals();
    assert_eq!(run.output().await.unwrap(), 7);
    assert_eq!(log.take(), ["last"]);
    engine.shutdown().await.unwrap();
}

/// An engine whose lease lasts six seconds, on a store that answers so many questions about leases.
async fn on_slow_leases(
    answers: usize,
    clock: &ManualClock,
    flow: &Workflow<u64, u64>,
) -> (Arc<SlowStore>, tokio::task::JoinHandle<Engine>) {
    let store = SlowStore::new(memory(), 1_000, 1_000);
    store.leases.forget_permits(Semaphore::MAX_PERMITS);
    store.leases.add_permits(answers);
    let builder = builder().store(store.clone() as Arc<dyn Store>).clock(Arc::new(clock.clone())).lease(secs(6));
    let builder = builder.serve(flow);
    let engine = tokio::spawn(async move { builder.open().await.unwrap() });
    settled().await;
    (store, engine)
}

/// The run's `slow` ends, and nothing follows from it until the store answers.
async fn check_that_nothing_begins(engine: &Engine, run: &RunHandle<u64>, log: &Log, store: &SlowStore) {
    until("the result", async || {
        engine.runs().inspect(run.tenant(), run.id()).await.unwrap().history.records.len() == 2
    })
    .await;
    settled().await;
    assert_eq!(log.take(), ["first", "slow"]);
    store.leases.add_permits(1_000);
    assert_eq!(run.output().await.unwrap(), 7);
    assert_eq!(log.take(), ["last"]);
}

#[tokio::test]
async fn a_lease_lasts_from_when_it_was_asked_for_and_not_from_when_it_was_given() {
    let (log, open) = (Log::default(), shut());
    let flow = gated(&log, "slow", &open);
    let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
    let (store, engine) = on_slow_leases(0, &clock, &flow).await;
    clock.advance(secs(5));
    store.leases.add_permits(1);
    let engine = engine.await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    until("the step", async || log.count("slow") == 1).await;
    clock.advance(secs(2));
    open.close();
    check_that_nothing_begins(&engine, &run, &log, &store).await;
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_renewed_lease_lasts_from_when_the_renewal_was_asked_for_and_not_from_its_answer() {
    let (log, open) = (Log::default(), shut());
    let flow = gated(&log, "slow", &open);
    let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
    let (store, engine) = on_slow_leases(1, &clock, &flow).await;
    let engine = engine.await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    until("the step", async || log.count("slow") == 1).await;
    // The renewal is asked for after two seconds, and answered after five: it is good for eight.
    for seconds in [2, 3] {
        clock.advance(secs(seconds));
        settled().await;
    }
    store.leases.add_permits(1);
    settled().await;
    clock.advance(secs(4));
    open.close();
    check_that_nothing_begins(&engine, &run, &log, &store).await;
    engine.shutdown().await.unwrap();
}

/// Lets everything happen that happens at the present time.
async fn settled() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_runs_of_an_engine_that_vanishes_go_on_within_its_lease_and_a_second() {
    let (store, log, open) = (memory(), Log::default(), shut());
    let flow = gated(&log, "slow", &open);
    // What a process leaves behind that was killed: a lease that nobody renews, and a run in its hands.
    let executor = fastn::core::ExecutorId::new("dead").unwrap();
    let now = Timestamp::from(std::time::SystemTime::now());
    let lease = store.acquire(LeaseAsk { executor, now, ttl: secs(1) }).await.unwrap();
    let first = engine(&store, &flow).await;
    let run = first.start(&flow, 7).await.unwrap();
    until("the step", async || log.count("slow") == 1).await;
    first.shutdown().await.unwrap();
    let definition = store.list(RunQuery::default()).await.unwrap().runs[0].definition.clone();
    let ask = ClaimAsk { lease: lease.token, now, serves: vec![definition], limit: 9, suspects: Suspects::default() };
    assert_eq!(store.claim(ask).await.unwrap().len(), 1);
    open.close();
    let began = Instant::now();
    let second = engine(&store, &flow).await;
    assert_eq!(second.runs().handle::<u64>(run.tenant(), run.id()).output().await.unwrap(), 7);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    second.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_engine_at_rest_asks_its_store_less_than_twice_a_second() {
    let meter = MeterStore::new(memory());
    let log = Log::default();
    let flow = workflow("w").define(|flow, n| flow.step("a", noted(&log, "a"), n)).unwrap();
    let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
    let store = Arc::new(meter.clone()) as Arc<dyn Store>;
    let engine = builder().store(store).clock(Arc::new(clock.clone())).serve(&flow).open().await.unwrap();
    settled().await;
    meter.take();
    for _ in 0..2_000 {
        clock.advance(millis(50));
        settled().await;
    }
    let cost = meter.take();
    assert_eq!(cost.commits, 0);
    assert!((cost.reads + cost.renewals) < 200, "{cost:?} in a hundred seconds");
    assert!(cost.reads > 80, "{cost:?}: runs of the dead are looked for every second or so");
    assert!(cost.renewals > 50, "{cost:?}: three times as long as a lease lasts");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_waiter_is_told_by_news_and_not_by_its_next_look() {
    let (store, log) = (memory(), Log::default());
    let (said, wait) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (say, go) = (said.clone(), wait.clone());
    let slow = move |n: u64| {
        let (say, go) = (say.clone(), go.clone());
        async move {
            say.notify_one();
            go.notified().await;
            Res::Ok(n)
        }
    };
    let flow = workflow("w")
        .define(|flow, n| {
            let slow = flow.step("slow", slow, n);
            flow.step("last", noted(&log, "last"), slow)
        })
        .unwrap();
    let (first, second) = (engine(&store, &flow).await, engine(&store, &flow).await);
    let run = first.start(&flow, 7).await.unwrap();
    said.notified().await;
    let waiters: Vec<_> = (0..10)
        .map(|_| {
            let there = second.runs().handle::<u64>(run.tenant(), run.id());
            tokio::spawn(async move { there.output().await })
        })
        .collect();
    // Let them find that it is elsewhere.
    settled().await;
    let began = Instant::now();
    wait.notify_one();
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap().unwrap(), 7);
    }
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}
