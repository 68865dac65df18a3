//! A Redis before the store, which is killed, held up and wiped while runs go on and hosts look at them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fastn::prelude::*;
use fastn::runtime::EngineBuilder;
use fastn::store::{ReadCache, ReadThrough as _, RunQuery, SqliteOptions, SqliteStore, Store};
use fastn_testkit::server::PrivateRedis;

use crate::world::{Log, builder, memory};

/// How many runs are started at once, and how often at least.
const WAVE: (u64, u64) = (100, 4);

/// What is done to a Redis, one thing after the other, until it is told to stop; how often each was.
fn harm(mut server: PrivateRedis, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<(PrivateRedis, usize)> {
    std::thread::spawn(move || {
        let mut rounds = 0;
        while !stop.load(Ordering::SeqCst) {
            let moment = || std::thread::sleep(Duration::from_millis(150));
            moment();
            server.pause().unwrap();
            moment();
            server.resume().unwrap();
            moment();
            server.wipe().unwrap();
            moment();
            server.stop().unwrap();
            moment();
            server.start_again().unwrap();
            rounds += 1;
        }
        (server, rounds)
    })
}

/// The newest of these; a fast machine starts several pages of them.
fn page(status: &[RunStatus]) -> RunQuery {
    RunQuery { status: status.to_vec(), limit: 1_000, ..RunQuery::default() }
}

/// Runs a load on this engine, looks at it all the while, and counts everything. At least so many answers are to come from
/// the cache.
async fn every_count_is_right(
    store: Arc<dyn Store>,
    (cache, hits): (ReadCache, u64),
    server: PrivateRedis,
    engine: EngineBuilder,
) {
    let log = Log::default();
    let step = |name: &'static str| {
        let log = log.clone();
        move |n: u64| {
            let log = log.clone();
            async move {
                log.note(format!("{name} {n}"));
                Ok::<_, StepError>(n)
            }
        }
    };
    let flow = workflow("load").define(|flow, n: Out<'_, u64>| {
        let first = flow.step("first", step("first"), n);
        let second = flow.step("second", step("second"), first);
        flow.step("third", step("third"), second)
    });
    let flow = flow.unwrap();
    let engine = Arc::new(engine.serve(&flow).open().await.unwrap());
    let stop = Arc::<AtomicBool>::default();
    let harmed = harm(server, stop.clone());

    let looker = {
        let (engine, stop) = (engine.clone(), stop.clone());
        tokio::spawn(async move {
            let (mut looks, mut longest) = (0_u64, Duration::ZERO);
            while !stop.load(Ordering::SeqCst) {
                let began = Instant::now();
                let page = engine.runs().list(page(&[])).await.unwrap();
                longest = longest.max(began.elapsed());
                for run in page.runs.iter().step_by(page.runs.len().div_ceil(5).max(1)) {
                    let began = Instant::now();
                    let found = engine.runs().inspect(&run.key.tenant, run.key.run).await.unwrap();
                    longest = longest.max(began.elapsed());
                    // What has ended stays as it was, and says what it was given.
                    assert!(!run.status.is_final() || run.status == found.history.run.status);
                    if let Some(outcome) = &found.outcome {
                        assert_eq!(*outcome, Outcome::Succeeded(found.history.input.clone()));
                    }
                    assert!(engine.runs().plan(run).await.unwrap().is_some());
                    looks += 1;
                }
                tokio::task::yield_now().await;
            }
            (looks, longest)
        })
    };

    let (began, mut runs, mut waves) = (Instant::now(), BTreeMap::new(), 0);
    // For as long as each harm needs to be done twice, and a machine that is busy otherwise needs to see enough of it.
    let enough = |elapsed| elapsed >= Duration::from_secs(4) && cache.counts().hits >= hits;
    while waves < WAVE.1 || !enough(began.elapsed()) {
        assert!(began.elapsed() < Duration::from_secs(90), "little comes from the cache: {:?}", cache.counts());
        let numbers = waves * WAVE.0..(waves + 1) * WAVE.0;
        let mut handles = Vec::new();
        for n in numbers {
            handles.push((n, engine.start(&flow, n).key(&format!("run {n}")).await.unwrap()));
        }
        for (n, handle) in handles {
            assert_eq!(handle.output().await.unwrap(), n);
            runs.insert(n, handle.id());
        }
        // Whoever comes a second time is told of the same run.
        let again = engine.start(&flow, waves * WAVE.0).key(&format!("run {}", waves * WAVE.0)).await.unwrap();
        assert_eq!((again.id(), again.output().await.unwrap()), (runs[&(waves * WAVE.0)], waves * WAVE.0));
        waves += 1;
    }
    stop.store(true, Ordering::SeqCst);
    let (looks, longest) = looker.await.unwrap();
    let (_server, rounds) = harmed.join().unwrap();

    let lines = log.take();
    let mut counted = BTreeMap::<&str, usize>::new();
    lines.iter().for_each(|line| *counted.entry(line).or_default() += 1);
    assert_eq!(counted.len(), runs.len() * 3);
    assert!(counted.values().all(|count| *count == 1), "a step ran twice");
    let (mut truth, mut next) = (Vec::new(), store.list(page(&[])).await.unwrap());
    let newest = next.runs.clone();
    loop {
        truth.append(&mut next.runs);
        let Some(before) = next.next else { break };
        next = store.list(RunQuery { before: Some(before), ..page(&[]) }).await.unwrap();
    }
    let started: BTreeSet<RunId> = runs.values().copied().collect();
    assert_eq!((truth.len(), started.len()), (runs.len(), runs.len()));
    assert!(truth.iter().all(|run| run.status == RunStatus::Succeeded && started.contains(&run.key.run)));
    // And that is what is seen, as soon as no list is left from before.
    let seen = Instant::now();
    while engine.runs().list(page(&[RunStatus::Succeeded])).await.unwrap().runs != newest {
        assert!(seen.elapsed() < Duration::from_secs(10), "a list is older than it may be");
        tokio::task::yield_now().await;
    }
    let counts = cache.counts();
    assert!(rounds > 1 && looks > 50 && counts.failures > 2, "{rounds} rounds, {looks} looks, {counts:?}");
    assert!(longest < Duration::from_secs(3), "somebody looked for {longest:?}");
    let engine = Arc::into_inner(engine).unwrap();
    engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_look_through_a_redis_that_comes_and_goes_and_every_count_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::default().synchronous(fastn::store::Synchronous::Normal);
    let store = Arc::new(SqliteStore::open(folder.path().join("runs.db"), options).await.unwrap()) as Arc<dyn Store>;
    let server = PrivateRedis::start().unwrap();
    let cache = ReadCache::redis(&server.url(0)).unwrap().histories(true);
    let engine = builder().store(store.clone()).read_through(cache.clone());
    every_count_is_right(store, (cache, 51), server, engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_whose_own_store_is_behind_a_redis_that_comes_and_goes_counts_right() {
    let store = memory();
    let server = PrivateRedis::start().unwrap();
    let cache = ReadCache::redis(&server.url(0)).unwrap().histories(true);
    let cached = cache.before(store.clone()).unwrap();
    every_count_is_right(store, (cache, 0), server, builder().store(cached)).await;
}

#[tokio::test]
async fn an_engine_decides_by_its_store_whatever_the_cache_says() {
    let store = memory();
    let server = PrivateRedis::shared().unwrap();
    let cache = ReadCache::redis(&server.url(0)).unwrap().histories(true).timeout(Duration::from_secs(20));
    let flow =
        workflow("daily").define(|flow, n: Out<'_, u64>| flow.step("same", async |n: u64| Ok::<_, StepError>(n), n));
    let flow = flow.unwrap();
    let engine = builder().store(store.clone()).read_through(cache.clone()).serve(&flow).open().await.unwrap();
    let until = async |what: &str, is_so: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_secs(60), "it never came about that {what}");
            tokio::task::yield_now().await;
        }
    };
    until("Redis answers", &|| cache.counts().connected > 0).await;
    let first = engine.start(&flow, 1).key("daily").await.unwrap();
    assert_eq!(first.output().await.unwrap(), 1);
    let outcome = async || {
        let found = engine.runs().inspect(&TenantId::default(), first.id()).await.unwrap();
        found.outcome.unwrap()
    };
    let old = outcome().await;
    until("it is kept", &|| cache.counts().kept > 0).await;
    // Retention takes the run, and the next one has its id.
    let far = fastn::core::Timestamp::from_micros(i64::MAX);
    assert_eq!(store.prune(far, 10).await.unwrap(), 1);
    let second = engine.start(&flow, 2).key("daily").await.unwrap();
    assert_eq!((second.id(), second.output().await.unwrap()), (first.id(), 2));
    // Who looks is told of the old one still, and who asks for the output of the new one gets it.
    assert_eq!(outcome().await, old);
    let handle = engine.runs().handle::<u64>(&TenantId::default(), first.id());
    assert_eq!(handle.output().await.unwrap(), 2);
    assert_eq!(handle.status().await.unwrap(), RunStatus::Succeeded);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_engine_without_a_store_has_nothing_to_look_at_through_a_cache() {
    let cache = ReadCache::redis("redis://127.0.0.1:1").unwrap();
    let error = builder().read_through(cache).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
