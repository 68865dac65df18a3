//! What runs are told from outside.

use std::path::Path;
use std::sync::Arc;

use fastn::core::Timestamp;
use fastn::prelude::*;
use fastn::store::Store;
use fastn_testkit::ManualClock;
use fastn_testkit::server::PrivatePostgres;

use crate::slow_store::SlowStore;
use crate::world::{Log, Res, builder, failure_of, memory, noted, on_every_store};

const PAID: Signal<u64> = Signal::new("paid");
const NEXT: Signal<u64> = Signal::new("next");
const GO: Signal<bool> = Signal::new("go").first();

async fn unpaid(_: Failure, _: u64) -> Res<u64> {
    Ok(0)
}

/// An order that is shipped when it is paid, and gives what was paid.
fn order(log: &Log) -> Workflow<u64, u64> {
    workflow("order")
        .define(|flow, n| {
            let fetched = flow.step("fetch", noted(log, "fetch"), n);
            let paid = flow.wait("payment", PAID, fetched);
            flow.step("ship", noted(log, "ship"), paid)
        })
        .unwrap()
}

async fn until_waiting<O>(run: &RunHandle<O>) {
    while run.status().await.unwrap() != RunStatus::Waiting {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_run_goes_on_with_what_it_is_told() {
    let log = Log::default();
    let flow = order(&log);
    for store in [None, Some(memory())] {
        let builder = store.into_iter().fold(builder(), |builder, store| builder.store(store));
        let engine = builder.serve(&flow).open().await.unwrap();
        let run = engine.start(&flow, 7).await.unwrap();
        assert_eq!(run.signal(PAID, &100).await.unwrap(), Delivery::Told);
        assert_eq!(run.output().await.unwrap(), 100);
        assert_eq!(log.take(), ["fetch", "ship"]);
    }
}

#[tokio::test]
async fn a_signal_that_is_sent_twice_with_one_id_is_there_once() {
    let flow = workflow("twice")
        .define(|flow, n: Out<'_, u64>| {
            let one = flow.wait("one", NEXT, n);
            let other = flow.wait("other", NEXT, one);
            flow.step("add", async |one: u64, other: u64| Res::Ok(one * 100 + other), (one, other))
        })
        .unwrap();
    let store = memory();
    let open = || builder().store(store.clone()).serve(&flow).open();
    let engine = open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    assert_eq!(run.signal(NEXT, &1).id("event 1").await.unwrap(), Delivery::Told);
    assert_eq!(run.signal(NEXT, &1).id("event 1").await.unwrap(), Delivery::Known);
    engine.shutdown().await.unwrap();
    // Also by another engine, that knows it from the journal.
    let engine = open().await.unwrap();
    let run = engine.runs().handle::<u64>(run.tenant(), run.id());
    assert_eq!(run.signal(NEXT, &1).id("event 1").await.unwrap(), Delivery::Known);
    assert_eq!(run.signal(NEXT, &2).id("event 2").await.unwrap(), Delivery::Told);
    assert_eq!(run.output().await.unwrap(), 102);
    assert_eq!(run.signal(NEXT, &2).id("event 2").await.unwrap(), Delivery::Known);
    assert_eq!(run.signal(NEXT, &3).id("event 3").await.unwrap(), Delivery::Ended);
}

#[tokio::test]
async fn a_signal_comes_before_its_wait_and_outlives_its_engine() {
    on_every_store("early", async |store| early(store).await).await;
}

async fn early(store: Arc<dyn Store>) {
    let (log, clock) = (Log::default(), ManualClock::at(Timestamp::EPOCH));
    let flow = workflow("early")
        .define(|flow, n| {
            let rested = flow.sleep("rest", hours(5), n);
            let paid = flow.wait("payment", PAID, rested);
            flow.step("ship", noted(&log, "ship"), paid)
        })
        .unwrap();
    let open = || builder().store(store.clone()).clock(Arc::new(clock.clone())).serve(&flow).open();
    let engine = open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    until_waiting(&run).await;
    assert_eq!(run.signal(PAID, &100).await.unwrap(), Delivery::Told);
    let (tenant, id) = (run.tenant().clone(), run.id());
    engine.shutdown().await.unwrap();
    drop((run, engine));

    let engine = open().await.unwrap();
    let run = engine.runs().handle::<u64>(&tenant, id);
    until_waiting(&run).await;
    assert!(log.take().is_empty(), "it sleeps still");
    clock.advance(hours(5));
    assert_eq!(run.output().await.unwrap(), 100);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_first_value_counts_for_all_who_wait_for_it() {
    let flow = workflow("first")
        .define(|flow, n: Out<'_, u64>| {
            let a = flow.wait("a", GO, n);
            let b = flow.wait("b", GO, n);
            flow.step("both", async |a: bool, b: bool| Res::Ok(a && b), (a, b))
        })
        .unwrap();
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    assert_eq!(run.signal(GO, &true).await.unwrap(), Delivery::Told);
    assert_ne!(run.signal(GO, &false).await.unwrap(), Delivery::Told);
    assert!(run.output().await.unwrap());
}

#[tokio::test]
async fn what_cannot_be_told_is_refused() {
    let flow = order(&Log::default());
    let engine = builder().store(memory()).max_payload(1_000).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    let kind = async |sent: fastn::runtime::SendSignal| sent.await.unwrap_err().kind();
    assert_eq!(kind(run.signal(NEXT, &1)).await, ErrorKind::Invalid, "nobody waits for it");
    let strange = engine.runs().handle::<u64>(run.tenant(), RunId::named("nobody"));
    assert_eq!(kind(strange.signal(PAID, &1)).await, ErrorKind::NotFound);
    let large = Signal::<String>::new("paid");
    assert_eq!(kind(run.signal(large, &"x".repeat(2_000))).await, ErrorKind::TooLarge);
    let named = |value| engine.runs().signal_named(run.tenant(), run.id(), "paid", value);
    assert_eq!(kind(named(Ok(Payload::json("{")))).await, ErrorKind::Invalid);
    assert_eq!(named(Ok(Payload::json("5"))).await.unwrap(), Delivery::Told);
    assert_eq!(run.output().await.unwrap(), 5);
    assert_eq!(run.signal(PAID, &1).await.unwrap(), Delivery::Ended);
}

#[tokio::test]
async fn a_wait_has_an_end_that_is_durable() {
    let (log, clock, store) = (Log::default(), ManualClock::at(Timestamp::EPOCH), memory());
    let flow = |name: &str, gives_up: bool| {
        workflow(name)
            .define(|flow, n| {
                let wait = PAID.within(days(3));
                let wait = if gives_up { wait.on_error(unpaid) } else { wait };
                let paid = flow.wait("payment", wait, n);
                flow.step("ship", noted(&log, "ship"), paid)
            })
            .unwrap()
    };
    let (strict, lenient) = (flow("strict", false), flow("lenient", true));
    let open = || builder().store(store.clone()).clock(Arc::new(clock.clone())).serve(&strict).serve(&lenient).open();
    let engine = open().await.unwrap();
    let (one, two) = (engine.start(&strict, 7).await.unwrap(), engine.start(&lenient, 7).await.unwrap());
    until_waiting(&one).await;
    until_waiting(&two).await;
    let (tenant, one, two) = (one.tenant().clone(), one.id(), two.id());
    clock.advance(days(2));
    engine.shutdown().await.unwrap();
    let engine = open().await.unwrap();
    let (one, two) = (engine.runs().handle::<u64>(&tenant, one), engine.runs().handle::<u64>(&tenant, two));
    until_waiting(&one).await;
    until_waiting(&two).await;
    assert!(log.take().is_empty());
    clock.advance(days(1));
    let (status, failure) = failure_of(&one).await;
    assert_eq!((status, failure.kind), (RunStatus::Failed, FailureKind::TIMEOUT));
    assert_eq!(two.output().await.unwrap(), 0);
    engine.shutdown().await.unwrap();
}

/// Whichever of the two is recorded first counts, and the sender is told which.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_and_the_end_of_its_wait_at_once_are_one_or_the_other() {
    on_every_store("one_or_the_other", async |store| {
        let flow = workflow("race")
            .define(|flow, n: Out<'_, u64>| flow.wait("payment", PAID.within(millis(15)).on_error(unpaid), n))
            .unwrap();
        let clock = ManualClock::at(Timestamp::EPOCH);
        let builder = builder().store(store.clone()).clock(Arc::new(clock.clone())).park_after(hours(1));
        let engine = builder.serve(&flow).open().await.unwrap();
        let (mut told, mut late) = (0, 0);
        for _ in 0..40 {
            let mut runs = Vec::new();
            for n in 0..10 {
                runs.push(engine.start(&flow, n).await.unwrap());
            }
            for run in &runs {
                until_waiting(run).await;
            }
            let passes = std::thread::spawn({
                let clock = clock.clone();
                move || clock.advance(millis(15))
            });
            for run in &runs {
                match run.signal(PAID, &100).await.unwrap() {
                    // The wait may be over although the run is not yet: then nobody takes it.
                    Delivery::Told => assert!([0, 100].contains(&run.output().await.unwrap())),
                    _ => assert_eq!(run.output().await.unwrap(), 0),
                }
            }
            passes.join().unwrap();
            for run in &runs {
                match run.output().await.unwrap() {
                    100 => told += 1,
                    _ => late += 1,
                }
            }
        }
        assert!(told > 0 && late > 0, "{told} in time and {late} late are no race");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_sends_comes_in_its_order_to_a_loop_that_takes_it() {
    let (store, log) = (memory(), Log::default());
    let take = log.clone();
    let flow = workflow("loop")
        .define(|flow, n| {
            flow.repeat(
                "until all",
                1_000,
                |left: &u64| *left > 0,
                n,
                move |flow, left| {
                    let next = flow.wait("next", NEXT, left);
                    let note = move |left: u64, next: u64| {
                        take.note(next.to_string());
                        async move { Res::Ok(left - 1) }
                    };
                    flow.step("take", note, (left, next))
                },
            )
        })
        .unwrap();
    let engine = builder().store(store).park_after(millis(1)).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 100).await.unwrap();
    for n in 0..100 {
        assert_eq!(run.signal(NEXT, &n).await.unwrap(), Delivery::Told);
        if n % 10 == 0 {
            until_waiting(&run).await;
        }
    }
    assert_eq!(run.output().await.unwrap(), 0);
    let expected: Vec<String> = (0..100).map(|n: u64| n.to_string()).collect();
    assert_eq!(log.take(), expected);
}

async fn fleet(url: &str, flow: &Workflow<u64, u64>) -> [Engine; 2] {
    let open = || builder().store(url).lease(millis(900)).serve(flow).open();
    [open().await.unwrap(), open().await.unwrap()]
}

/// Ten runs that the one has, told by the other; then the one is gone, and the others are told too.
async fn told_by_another(one: Engine, other: Engine, flow: &Workflow<u64, u64>) {
    let mut runs = Vec::new();
    for n in 0..10 {
        runs.push(one.start(flow, n).await.unwrap());
    }
    for run in &runs {
        until_waiting(run).await;
    }
    let handle = |run: &RunHandle<u64>| other.runs().handle::<u64>(run.tenant(), run.id());
    for run in &runs[..5] {
        assert_eq!(handle(run).signal(PAID, &1).id("x").await.unwrap(), Delivery::Told);
        assert_ne!(handle(run).signal(PAID, &2).id("x").await.unwrap(), Delivery::Told);
        assert_eq!(run.output().await.unwrap(), 1);
    }
    assert_eq!(handle(&runs[5]).signal(NEXT, &1).await.unwrap_err().kind(), ErrorKind::Invalid);
    drop(one);
    for run in &runs[5..] {
        assert_eq!(handle(run).signal(PAID, &3).await.unwrap(), Delivery::Told);
    }
    for run in &runs[5..] {
        assert_eq!(handle(run).output().await.unwrap(), 3);
    }
    other.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_another_executor_has_is_told_too() {
    let flow = order(&Log::default());
    let url = PrivatePostgres::shared().unwrap().database("signals").unwrap();
    let [one, other] = fleet(&url, &flow).await;
    told_by_another(one, other, &flow).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_told_by_an_engine_that_stands_by() {
    let (flow, folder) = (order(&Log::default()), tempfile::tempdir().unwrap());
    let url = |folder: &Path| format!("sqlite:{}", folder.join("runs.db").display());
    let [one, other] = fleet(&url(folder.path()), &flow).await;
    told_by_another(one, other, &flow).await;
}

#[tokio::test]
async fn a_signal_is_acknowledged_when_it_is_durable_and_so_is_that_it_is_known() {
    let (store, log) = (memory(), Log::default());
    let flow = order(&log);
    let slow = SlowStore::new(store.clone(), 1_000, 1_000);
    let engine = builder().store(slow.clone() as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    until_waiting(&run).await;
    // From here on nothing is written.
    slow.commits.forget_permits(1_000);
    let send = || {
        let run = engine.runs().handle::<u64>(run.tenant(), run.id());
        tokio::spawn(async move { run.signal(PAID, &100).id("one").await })
    };
    let first = send();
    crate::hazards::settled().await;
    let second = send();
    crate::hazards::settled().await;
    assert!(!first.is_finished(), "it is acknowledged, and would be lost with the process");
    assert!(!second.is_finished(), "what makes it mean nothing would be lost with the process");
    slow.commits.add_permits(1_000);
    assert_eq!((first.await.unwrap().unwrap(), second.await.unwrap().unwrap()), (Delivery::Told, Delivery::Known));
    assert_eq!(run.output().await.unwrap(), 100);
}
