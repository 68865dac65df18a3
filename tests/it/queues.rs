//! Runs that wait for their turn.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastn::core::Timestamp;
use fastn::prelude::*;
use fastn::runtime::{Batching, EngineBuilder, Queue, Singleton};
use fastn::store::{Rate, SqliteOptions, SqliteStore, Store};
use fastn_testkit::{ManualClock, MeterStore};
use tokio::sync::Semaphore;

use crate::world::{Log, Res, StepFuture, builder, memory, noted};

/// Who is at work, and how many were at most.
#[derive(Clone, Debug, Default)]
struct Floor {
    now: Arc<Mutex<BTreeMap<u64, usize>>>,
    most: Arc<AtomicUsize>,
    most_of_key: Arc<AtomicUsize>,
    done: Arc<AtomicUsize>,
}

impl Floor {
    fn enter(&self, key: u64) {
        let mut now = self.now.lock().unwrap();
        *now.entry(key).or_default() += 1;
        self.most.fetch_max(now.values().sum(), Ordering::SeqCst);
        self.most_of_key.fetch_max(now[&key], Ordering::SeqCst);
    }

    fn leave(&self, key: u64) {
        *self.now.lock().unwrap().get_mut(&key).unwrap() -= 1;
        self.done.fetch_add(1, Ordering::SeqCst);
    }

    /// A run of two steps that is at work from the first to the last. Its key is the tens of its input.
    fn flow(&self) -> Workflow<u64, u64> {
        let (enter, leave) = (self.clone(), self.clone());
        let enter = move |n: u64| {
            enter.enter(n / 10);
            async move {
                tokio::task::yield_now().await;
                Res::Ok(n)
            }
        };
        let leave = move |n: u64| {
            leave.leave(n / 10);
            async move { Res::Ok(n) }
        };
        workflow("work")
            .define(|flow, n| {
                let n = flow.step("enter", enter, n);
                flow.step("leave", leave, n)
            })
            .unwrap()
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(20), "{what} did not come");
        tokio::task::yield_now().await;
    }
}

/// Notes its input, and does not end before it is let.
fn gate(log: &Log, open: &Arc<Semaphore>) -> impl Fn(u64) -> StepFuture + Clone + Send + Sync + 'static {
    let (log, open) = (log.clone(), open.clone());
    move |n| {
        let (log, open) = (log.clone(), open.clone());
        Box::pin(async move {
            log.note(n.to_string());
            // Each leave is for one.
            if let Ok(leave) = open.acquire().await {
                leave.forget();
            }
            Ok(n)
        })
    }
}

struct Scene {
    log: Log,
    open: Arc<Semaphore>,
    flow: Workflow<u64, u64>,
    clock: ManualClock,
    store: Arc<dyn Store>,
}

impl Scene {
    fn new() -> Self {
        let (log, open) = (Log::default(), Arc::new(Semaphore::new(0)));
        let flow = workflow("gated").define(|flow, n| flow.step("gate", gate(&log, &open), n)).unwrap();
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        Self { log, open, flow, clock, store: memory() }
    }

    /// One whose runs are done as soon as they begin.
    fn open() -> Self {
        let scene = Self::new();
        scene.open.close();
        scene
    }

    fn builder(&self) -> EngineBuilder {
        let clock = Arc::new(self.clock.clone());
        builder().store(self.store.clone()).clock(clock).lease(days(9)).grace(millis(10)).serve(&self.flow)
    }

    async fn engine(&self, queue: Queue) -> Engine {
        self.builder().queue(queue).open().await.unwrap()
    }

    async fn begun(&self, count: usize) -> Vec<String> {
        let mut all = Vec::new();
        until("the step", async || {
            all.extend(self.log.take());
            all.len() >= count
        })
        .await;
        all
    }

    /// Waits until so many wait and run.
    async fn standing(&self, engine: &Engine, waiting: u64, running: u64) {
        until("the standing", async || {
            let counts = engine.queues().counts("q", 0).await.unwrap();
            (counts.waiting, counts.running) == (waiting, running)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_engines_together_no_more_runs_work_at_a_time_than_may() {
    const RUNS: u64 = 120;
    let (floor, store) = (Floor::default(), memory());
    let flow = floor.flow();
    let queue = || Queue::new("q").concurrency(5).per_key(2).fair();
    let mut engines = Vec::new();
    for _ in 0..3 {
        engines.push(builder().store(store.clone()).queue(queue()).serve(&flow).open().await.unwrap());
    }
    let mut runs = Vec::new();
    for n in 0..RUNS {
        let engine = &engines[usize::try_from(n % 3).unwrap()];
        runs.push(engine.start(&flow, n % 40).queue("q").queue_key(&(n % 40 / 10).to_string()).await.unwrap());
    }
    for run in &runs {
        run.output().await.unwrap();
    }
    assert_eq!(floor.done.load(Ordering::SeqCst) as u64, RUNS);
    let (most, of_key) = (floor.most.load(Ordering::SeqCst), floor.most_of_key.load(Ordering::SeqCst));
    assert!(most <= 5 && of_key <= 2, "{most} at a time, {of_key} of a key");
    for engine in engines {
        engine.shutdown().await.unwrap();
    }
}

/// How often so many engines ask for runs to have so many.
async fn asks(engines: usize, runs: u64) -> u64 {
    let (floor, meter) = (Floor::default(), MeterStore::new(memory()));
    let flow = floor.flow();
    let store: Arc<dyn Store> = Arc::new(meter.clone());
    let mut all = Vec::new();
    for _ in 0..engines {
        let queue = Queue::new("q").concurrency(2);
        all.push(builder().store(store.clone()).queue(queue).serve(&flow).open().await.unwrap());
    }
    meter.take();
    let mut started = Vec::new();
    for n in 0..runs {
        started.push(all[0].start(&flow, n).queue("q").await.unwrap());
    }
    for run in &started {
        run.output().await.unwrap();
    }
    let asks = meter.take().asks;
    for engine in all {
        engine.shutdown().await.unwrap();
    }
    asks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_run_costs_does_not_grow_with_the_number_of_engines() {
    const RUNS: u64 = 400;
    let (two, eight) = (asks(2, RUNS).await, asks(8, RUNS).await);
    assert!(eight < 3 * RUNS, "{two} by two engines, {eight} by eight, for {RUNS} runs");
}

#[tokio::test]
async fn nor_does_it_where_runs_come_one_by_one() {
    const ENGINES: u64 = 8;
    let mut scene = Scene::new();
    let meter = MeterStore::new(scene.store.clone());
    scene.store = Arc::new(meter.clone());
    let queue = || Queue::new("q").concurrency(1);
    let mut engines = Vec::new();
    for _ in 0..ENGINES {
        engines.push(scene.engine(queue()).await);
    }
    for n in 0..20 {
        engines[0].start(&scene.flow, n).queue("q").await.unwrap();
    }
    scene.begun(1).await;
    let mut asks = Vec::new();
    for _ in 1..20 {
        meter.take();
        scene.open.add_permits(1);
        scene.begun(1).await;
        // So that whoever has left it to others for a while looks by now, and all is calm again.
        scene.clock.advance(millis(700));
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        asks.push(meter.take().asks);
    }
    assert!(asks[5..].iter().all(|asks| *asks <= 2), "{asks:?}");
}

#[tokio::test]
async fn a_run_has_its_place_until_it_ends_whoever_runs_it() {
    let scene = Scene::new();
    let first = scene.engine(Queue::new("q").concurrency(1)).await;
    let one = first.start(&scene.flow, 1).queue("q").await.unwrap();
    let two = first.start(&scene.flow, 2).queue("q").await.unwrap();
    assert_eq!(scene.begun(1).await, ["1"]);
    scene.standing(&first, 1, 1).await;
    assert_eq!(two.status().await.unwrap(), RunStatus::Pending);
    // As in a crash.
    let (one, two) = (one.id(), two.id());
    drop(first);
    let second = scene.builder().open().await.unwrap();
    assert_eq!(scene.begun(1).await, ["1"], "it goes on, and the other waits");
    scene.standing(&second, 1, 1).await;
    scene.open.add_permits(1);
    assert_eq!(scene.begun(1).await, ["2"]);
    scene.open.add_permits(1);
    for (run, n) in [(one, 1), (two, 2)] {
        assert_eq!(second.runs().handle::<u64>(&TenantId::default(), run).output().await.unwrap(), n);
    }
    scene.standing(&second, 0, 0).await;
}

#[tokio::test]
async fn runs_go_by_priority_and_wait_for_their_delay() {
    let scene = Scene::open();
    let engine = scene.engine(Queue::new("q").concurrency(1)).await;
    engine.queues().pause("q").await.unwrap();
    for (n, priority, delay) in [(1, 0, 0), (2, 5, 0), (3, -1, 0), (4, 9, 60), (5, 5, 0)] {
        let start = engine.start(&scene.flow, n).queue("q").priority(priority);
        start.delay(Duration::from_secs(delay)).await.unwrap();
        scene.clock.advance(millis(1));
    }
    scene.standing(&engine, 5, 0).await;
    assert_eq!(scene.log.take(), Vec::<String>::new());
    engine.queues().resume("q").await.unwrap();
    assert_eq!(scene.begun(4).await, ["2", "5", "1", "3"]);
    scene.standing(&engine, 1, 0).await;
    scene.clock.advance(secs(59));
    scene.standing(&engine, 1, 0).await;
    scene.clock.advance(secs(1));
    assert_eq!(scene.begun(1).await, ["4"]);
}

#[tokio::test]
async fn no_window_has_more_than_its_quota_with_several_engines() {
    let scene = Scene::open();
    let queue = || Queue::new("q").rate(3, Duration::from_secs(60));
    let engines = [scene.engine(queue()).await, scene.engine(queue()).await];
    for n in 0..10 {
        engines[usize::try_from(n % 2).unwrap()].start(&scene.flow, n).queue("q").await.unwrap();
    }
    let mut begun = scene.begun(3).await.len();
    for (second, expected) in [(59, 3), (1, 6), (30, 6), (29, 6), (1, 9), (60, 10)] {
        scene.clock.advance(Duration::from_secs(second));
        begun += scene.begun(expected - begun).await.len();
        scene.standing(&engines[0], 10 - expected as u64, 0).await;
        assert_eq!(begun, expected);
    }
}

#[tokio::test]
async fn a_key_is_found_in_the_input() {
    let (log, open) = (Log::default(), Arc::new(Semaphore::new(0)));
    let step = gate(&log, &open);
    let flow = workflow("gated")
        .define(|flow, input| {
            let n = flow.step("n", |input: (u64, String)| async move { Res::Ok(input.0) }, input);
            flow.step("gate", step, n)
        })
        .unwrap();
    let queue = Queue::new("q").per_key(1).key("/1");
    let engine = builder().store(memory()).queue(queue).serve(&flow).open().await.unwrap();
    for (n, customer) in [(1, "acme"), (2, "acme"), (3, "other")] {
        engine.start(&flow, (n, customer.to_owned())).queue("q").await.unwrap();
    }
    until("two steps", async || log.count("1") + log.count("3") == 2).await;
    let counts = engine.queues().counts("q", 9).await.unwrap();
    let keys: Vec<_> = counts.keys.iter().map(|busy| (busy.key.as_str(), busy.waiting, busy.running)).collect();
    assert_eq!(keys, [("acme", 1, 1), ("other", 0, 1)]);
    open.close();
    until("the third", async || log.count("2") == 1).await;
}

#[tokio::test]
async fn a_run_that_waits_is_cancelled_and_nothing_of_it_begins() {
    let scene = Scene::new();
    let engine = scene.engine(Queue::new("q").concurrency(1)).await;
    let one = engine.start(&scene.flow, 1).queue("q").await.unwrap();
    let two = engine.start(&scene.flow, 2).queue("q").await.unwrap();
    let three = engine.start(&scene.flow, 3).queue("q").await.unwrap();
    assert_eq!(scene.begun(1).await, ["1"]);
    engine.queues().pause("q").await.unwrap();
    assert!(two.cancel("not needed").await.unwrap());
    let told = two.output().await.unwrap_err();
    assert!(told.kind() == ErrorKind::Cancelled && format!("{told:?}").contains("not needed"), "{told:?}");
    assert!(!two.cancel("again").await.unwrap());
    scene.standing(&engine, 1, 1).await;
    engine.queues().resume("q").await.unwrap();
    assert!(one.cancel("this too").await.unwrap());
    assert_eq!(one.output().await.unwrap_err().kind(), ErrorKind::Cancelled);
    scene.open.add_permits(1);
    assert_eq!(three.output().await.unwrap(), 3);
    assert_eq!(scene.log.take(), ["3"]);
}

#[tokio::test]
async fn of_runs_that_are_deduplicated_one_is_started() {
    let scene = Scene::new();
    let engines = [scene.engine(Queue::new("q").concurrency(1)).await, scene.builder().open().await.unwrap()];
    let other = TenantId::new("other").unwrap();
    let start = |engine: &Engine, n: u64| engine.start(&scene.flow, n).queue("q").deduplicate("invoice 7");
    let first = start(&engines[0], 1).await.unwrap();
    assert_eq!(start(&engines[1], 2).await.unwrap().id(), first.id());
    assert_ne!(start(&engines[1], 3).tenant(other).await.unwrap().id(), first.id());
    let (attached, mut events) = start(&engines[1], 4).watched().await.unwrap();
    assert_eq!(attached.id(), first.id());
    scene.open.close();
    assert_eq!(attached.output().await.unwrap(), 1);
    while events.next().await.is_some() {}
    assert_ne!(start(&engines[0], 5).await.unwrap().id(), first.id(), "it has ended");
}

/// Whoever waits for what one workflow gives must not be given what another does.
#[tokio::test]
async fn a_run_of_another_workflow_is_not_attached_to() {
    let scene = Scene::new();
    let other =
        workflow("other").define(|flow, n: Out<'_, u64>| flow.step("text", noted(&scene.log, "text"), n)).unwrap();
    let engine = scene.builder().queue(Queue::new("q")).serve(&other).open().await.unwrap();
    let first = engine.start(&scene.flow, 1).queue("q").deduplicate("invoice 7").await.unwrap();
    let refused = engine.start(&other, 1).queue("q").deduplicate("invoice 7").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.chain().join(" ").contains("its place is taken by a run of another workflow"), "{refused:?}");
    let only = engine.start(&scene.flow, 2).queue("q").queue_key("a").singleton(Singleton::Attach).await.unwrap();
    let refused = engine.start(&other, 2).queue("q").queue_key("a").singleton(Singleton::Attach).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    scene.open.close();
    assert_eq!((first.output().await.unwrap(), only.output().await.unwrap()), (1, 2));
    assert_eq!(engine.start(&other, 3).queue("q").deduplicate("invoice 7").await.unwrap().output().await.unwrap(), 3);
}

#[tokio::test]
async fn a_singleton_is_attached_to_or_refuses_others_or_gives_way() {
    let scene = Scene::new();
    let engine = scene.engine(Queue::new("q")).await;
    let start =
        |n: u64, key: &str, singleton| engine.start(&scene.flow, n).queue("q").queue_key(key).singleton(singleton);
    let first = start(1, "a", Singleton::Attach).await.unwrap();
    assert_eq!(scene.begun(1).await, ["1"]);
    assert_eq!(start(2, "a", Singleton::Attach).await.unwrap().id(), first.id());
    let refused = start(3, "a", Singleton::CancelNewest).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    start(4, "b", Singleton::CancelNewest).await.unwrap();
    assert_eq!(scene.begun(1).await, ["4"]);
    let last = start(5, "a", Singleton::CancelInProgress).await.unwrap();
    assert_eq!(first.output().await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(scene.begun(1).await, ["5"]);
    scene.open.close();
    assert_eq!(last.output().await.unwrap(), 5);
}

#[tokio::test]
async fn of_runs_that_are_debounced_the_last_input_is_run_once() {
    let scene = Scene::open();
    let engine = scene.engine(Queue::new("q")).await;
    let start = |n: u64| engine.start(&scene.flow, n).queue("q").debounce("page 3", secs(10), secs(25));
    let first = start(1).await.unwrap();
    for n in 2..4 {
        scene.clock.advance(secs(9));
        assert_eq!(start(n).await.unwrap().id(), first.id());
    }
    scene.standing(&engine, 1, 0).await;
    scene.clock.advance(secs(6));
    scene.standing(&engine, 1, 0).await;
    scene.clock.advance(secs(1));
    assert_eq!(first.output().await.unwrap(), 3);
    assert_eq!(scene.log.take(), ["3"]);
    assert_ne!(start(4).await.unwrap().id(), first.id());
}

/// Notes the list that it is given, and gives its sum.
fn sum(log: &Log) -> Workflow<Vec<u64>, u64> {
    let log = log.clone();
    let step = move |items: Vec<u64>| {
        log.note(format!("{items:?}"));
        async move { Res::Ok(items.iter().sum::<u64>()) }
    };
    workflow("sum").define(|flow, items| flow.step("sum", step, items)).unwrap()
}

#[tokio::test]
async fn items_become_one_run_when_they_are_enough_or_when_it_is_time() {
    let scene = Scene::open();
    let flow = sum(&scene.log);
    let open = || scene.builder().queue(Queue::new("q")).serve(&flow).open();
    let engines = [open().await.unwrap(), open().await.unwrap()];
    let batching = Batching::new("q", 3, secs(10));
    let mut runs = Vec::new();
    for (n, engine) in (0..5).zip(engines.iter().cycle()) {
        runs.push(engine.start_batched(&flow, n, &batching).await.unwrap());
        scene.clock.advance(secs(1));
    }
    let ids: Vec<_> = runs.iter().map(|run| run.id()).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3] && ids[3] == ids[4], "{ids:?}");
    assert_eq!(scene.begun(1).await, ["[0, 1, 2]"]);
    scene.standing(&engines[0], 1, 0).await;
    scene.clock.advance(secs(7));
    scene.standing(&engines[0], 1, 0).await;
    assert_eq!(scene.log.take(), Vec::<String>::new());
    scene.clock.advance(secs(1));
    assert_eq!(scene.begun(1).await, ["[3, 4]"]);
    scene.standing(&engines[0], 0, 0).await;
    for (run, sum) in runs.iter().zip([3, 3, 3, 7, 7]) {
        // Whoever waits for what another engine has done looks by the clock.
        let moves = async {
            loop {
                scene.clock.advance(millis(10));
                tokio::task::yield_now().await;
            }
        };
        let output = tokio::select! {
            output = run.output() => output,
            () = moves => unreachable!("it never ends"),
        };
        assert_eq!(output.unwrap(), sum);
    }
}

#[tokio::test]
async fn an_item_that_is_known_is_there_once_and_others_are_apart() {
    let scene = Scene::open();
    let flow = sum(&scene.log);
    let engine = scene.builder().queue(Queue::new("q")).serve(&flow).open().await.unwrap();
    let add = |n: u64| engine.start_batched(&flow, n, &Batching::new("q", 9, secs(10)));
    let first = add(1).deduplicate("order 1").await.unwrap();
    assert_eq!(add(5).deduplicate("order 1").await.unwrap().id(), first.id());
    assert_eq!(add(2).deduplicate("order 2").await.unwrap().id(), first.id());
    let other = TenantId::new("other").unwrap();
    let others = [add(3).deduplicate("order 1").tenant(other).await.unwrap(), add(4).queue_key("gold").await.unwrap()];
    scene.clock.advance(secs(10));
    assert_eq!(first.output().await.unwrap(), 3);
    for (run, n) in others.iter().zip([3, 4]) {
        assert_eq!(run.output().await.unwrap(), n);
    }
    let late = add(6).deduplicate("order 2").await.unwrap();
    assert_eq!((late.id(), late.output().await.unwrap()), (first.id(), 3), "its run is kept");
    assert_ne!(add(7).await.unwrap().id(), first.id());
}

#[tokio::test]
async fn a_run_of_many_items_has_one_place_and_costs_what_they_cost() {
    let scene = Scene::open();
    let flow = sum(&scene.log);
    let queue = Queue::new("q").limited_to(Rate::fixed(10, secs(60)));
    let engine = scene.builder().queue(queue).serve(&flow).open().await.unwrap();
    let batching = Batching::new("q", 2, secs(10));
    let mut runs = Vec::new();
    for n in 0..6 {
        runs.push(engine.start_batched(&flow, n, &batching).cost(3).await.unwrap());
    }
    assert_eq!(runs[0].output().await.unwrap(), 1);
    scene.standing(&engine, 2, 0).await;
    assert_eq!(scene.log.take(), ["[0, 1]"], "six of ten are taken");
    scene.clock.advance(secs(60));
    assert_eq!(runs[3].output().await.unwrap(), 5);
    scene.clock.advance(secs(60));
    assert_eq!(runs[5].output().await.unwrap(), 9);
}

#[tokio::test]
async fn a_run_that_gathers_is_cancelled_for_all_of_its_items() {
    let scene = Scene::open();
    let flow = sum(&scene.log);
    let engine = scene.builder().queue(Queue::new("q")).serve(&flow).open().await.unwrap();
    let add = |n: u64| engine.start_batched(&flow, n, &Batching::new("q", 9, secs(10)));
    let runs = [add(1).await.unwrap(), add(2).await.unwrap()];
    assert!(runs[0].cancel("not needed").await.unwrap());
    assert_eq!(runs[1].output().await.unwrap_err().kind(), ErrorKind::Cancelled);
    let found = engine.runs().inspect(&TenantId::default(), runs[1].id()).await.unwrap();
    assert_eq!(found.history.input.decode::<Vec<u64>>().unwrap(), [1, 2]);
    let next = add(3).await.unwrap();
    scene.clock.advance(secs(10));
    assert_eq!(next.output().await.unwrap(), 3);
    assert_eq!(scene.log.take(), ["[3]"]);
}

#[tokio::test]
async fn an_item_that_fits_into_no_list_is_refused() {
    let scene = Scene::open();
    let step = |items: Vec<String>| async move { Res::Ok(items.len()) };
    let flow = workflow("words").define(|flow, items| flow.step("count", step, items)).unwrap();
    let engine = scene.builder().max_payload(20).queue(Queue::new("q")).serve(&flow).open().await.unwrap();
    let add = |size: usize, batching: &Batching| engine.start_batched(&flow, "x".repeat(size), batching);
    let batching = Batching::new("q", 9, secs(10));
    assert_eq!(add(17, &batching).await.unwrap_err().kind(), ErrorKind::TooLarge);
    // With its quotation marks and the brackets one of sixteen is as large as may be.
    let runs = [add(7, &batching).await.unwrap(), add(6, &batching).await.unwrap(), add(16, &batching).await.unwrap()];
    assert!(runs[0].id() == runs[1].id() && runs[1].id() != runs[2].id(), "twenty bytes hold two");
    assert_eq!(runs[0].output().await.unwrap(), 2);
    assert_eq!(runs[2].output().await.unwrap(), 1);
    for wrong in [Batching::new("q", 0, secs(1)), Batching::new("q", 1, secs(1)).bytes(0)] {
        assert_eq!(add(1, &wrong).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(add(1, &Batching::new("no such", 1, secs(1))).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_queue_is_as_whoever_said_it_last() {
    let scene = Scene::new();
    let engine = scene.engine(Queue::new("q").concurrency(1)).await;
    for n in 0..4 {
        engine.start(&scene.flow, n).queue("q").await.unwrap();
    }
    scene.standing(&engine, 3, 1).await;
    engine.queues().change("q", |rules| rules.concurrency = Some(2)).await.unwrap();
    scene.standing(&engine, 2, 2).await;
    let wrong = engine.queues().change("q", |rules| rules.concurrency = Some(0)).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Invalid);
    engine.queues().pause("q").await.unwrap();
    let _other = scene.engine(Queue::new("q").concurrency(9)).await;
    let rules = engine.queues().rules("q").await.unwrap();
    assert_eq!((rules.concurrency, rules.paused), (Some(9), true), "a queue that is paused stays so");
    engine.queues().resume("q").await.unwrap();
    scene.standing(&engine, 0, 4).await;
    assert_eq!(engine.queues().list().await.unwrap().iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["q"]);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let scene = Scene::open();
    let engine = scene.engine(Queue::new("q")).await;
    let start = || engine.start(&scene.flow, 1);
    let kind = |result: fastn::core::Result<RunHandle<u64>>| result.unwrap_err().kind();
    assert_eq!(kind(start().queue("no such").await), ErrorKind::NotFound);
    assert_eq!(kind(start().queue(" ").await), ErrorKind::Invalid);
    assert_eq!(kind(start().priority(1).await), ErrorKind::Invalid);
    let both = start().queue("q").deduplicate("a").singleton(Singleton::Attach);
    assert_eq!(kind(both.await), ErrorKind::Invalid);
    let waits = start().queue("q").delay(secs(1)).debounce("a", secs(1), secs(2));
    assert_eq!(kind(waits.await), ErrorKind::Invalid);
    let same = |n| engine.start(&scene.flow, n).queue("q").key("order 7");
    let first = same(1).await.unwrap();
    assert_eq!(same(1).await.unwrap().id(), first.id());
    assert_eq!(kind(same(2).await), ErrorKind::Conflict);
    assert_eq!(engine.queues().pause("no such").await.unwrap_err().kind(), ErrorKind::NotFound);
    let wrong = scene.builder().queue(Queue::new("q").per_key(0)).open().await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Invalid);
    let nowhere = builder().queue(Queue::new("q")).serve(&scene.flow).open().await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_process_that_stands_by_enqueues_for_the_one_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let open =
        || async { Arc::new(SqliteStore::open(&path, SqliteOptions::default()).await.unwrap()) as Arc<dyn Store> };
    let (log, queue) = (Log::default(), || Queue::new("q").per_executor(1).rate(1_000, secs(1)));
    let flow = workflow("w").define(|flow, n| flow.step("s", noted(&log, "s"), n)).unwrap();
    let first = builder().store(open().await).queue(queue()).serve(&flow).open().await.unwrap();
    let second = builder().store(open().await).queue(queue()).serve(&flow).open().await.unwrap();
    let mut runs = Vec::new();
    for n in 0..5 {
        runs.push(second.start(&flow, n).queue("q").await.unwrap());
    }
    for (n, run) in (0..).zip(&runs) {
        assert_eq!(run.output().await.unwrap(), n);
    }
    first.shutdown().await.unwrap();
    assert_eq!(second.start(&flow, 7).queue("q").await.unwrap().output().await.unwrap(), 7);
    assert_eq!(log.count("s"), 6);
}
