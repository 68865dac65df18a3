//! A PostgreSQL that is away for longer than anybody's patience: executors wait for it, and nobody has to open them again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastn::core::Event;
use fastn::prelude::*;
use fastn::store::{PostgresOptions, PostgresStore, Store};
use fastn_testkit::server::{PostgresSettings, PrivatePostgres, Proxy};
use tokio::sync::Semaphore;

use crate::world::{Log, Res, builder, noted};

/// How many runs are under way.
const RUNS: u64 = 40;

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(30), "{what} did not come");
        tokio::task::yield_now().await;
    }
}

/// Opened as soon as a machine that is busy otherwise comes to it: the patience is for what happens later.
async fn store(url: &str) -> Arc<dyn Store> {
    let (options, began) = (PostgresOptions::default().patience(millis(300)), Instant::now());
    loop {
        match PostgresStore::open(url, options.clone()).await {
            Err(error) if error.is_transient() && began.elapsed() < Duration::from_secs(30) => {}
            opened => return Arc::new(opened.unwrap()),
        }
    }
}

async fn engine(store: &Arc<dyn Store>, flow: &Workflow<u64, u64>) -> Engine {
    builder().store(store.clone()).patience(secs(1)).lease(secs(1)).serve(flow).open().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engines_outlive_an_outage_that_is_longer_than_their_patience() {
    let mut server = PrivatePostgres::start_with(&PostgresSettings::default().fsync(false)).unwrap();
    let url = server.database("outage").unwrap();
    let (log, open) = (Log::default(), Arc::new(Semaphore::new(0)));
    let (note, gate) = (log.clone(), open.clone());
    let slow = move |n: u64| {
        let (note, gate) = (note.clone(), gate.clone());
        async move {
            note.note("slow");
            // Closed is open.
            let _ = gate.acquire().await;
            Res::Ok(n)
        }
    };
    let flow = workflow("outage")
        .define(|flow, n| {
            let first = flow.step("first", noted(&log, "first"), n);
            let slow = flow.step("slow", slow, first);
            flow.step("last", noted(&log, "last"), slow)
        })
        .unwrap();
    let stores = [store(&url).await, store(&url).await];
    let engines = [engine(&stores[0], &flow).await, engine(&stores[1], &flow).await];
    let mut waiting = Vec::new();
    for n in 0..RUNS {
        let run = engines[usize::from(n % 2 == 0)].start(&flow, n).await.unwrap();
        waiting.push(tokio::spawn(async move { (n, run.output().await) }));
    }
    until("the step", async || log.count("slow") == RUNS as usize).await;

    server.crash().unwrap();
    // What the steps give now cannot be recorded.
    open.close();
    for engine in &engines {
        let began = Instant::now();
        let refused = engine.start(&flow, 1_000).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
        assert!(began.elapsed() < secs(10), "a start waits as long as patience lasts: {:?}", began.elapsed());
        let refused = engine.start(&flow, 1_001).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "the engine is there still: {refused:?}");
    }
    assert!(waiting.iter().all(|run| !run.is_finished()), "who waits goes on waiting");

    server.go_on().unwrap();
    for run in waiting {
        let (n, output) = run.await.unwrap();
        assert_eq!(output.unwrap(), n);
    }
    assert_eq!(log.count("first"), RUNS as usize, "nothing recorded was done again");
    for (engine, n) in engines.iter().zip(2_000..) {
        assert_eq!(engine.start(&flow, n).await.unwrap().output().await.unwrap(), n);
    }
    for engine in &engines {
        engine.shutdown().await.unwrap();
    }
    // Whoever looks has more patience than they had.
    let look = PostgresStore::open(&url, PostgresOptions::default()).await.unwrap();
    let page = look.list(RunQuery { limit: 1_000, ..RunQuery::default() }).await.unwrap();
    assert_eq!(page.runs.len(), RUNS as usize + 2, "what was refused was not started");
    for run in page.runs {
        let history = look.read(&run.key).await.unwrap().unwrap();
        let ends = history.records.iter().filter(|record| matches!(record.event, Event::Finished { .. })).count();
        let steps = history.records.iter().filter(|record| matches!(record.event, Event::Succeeded { .. })).count();
        assert_eq!((ends, steps), (1, 3), "run {}", run.key.run);
    }
}

/// Connections on which nothing gets through, and nobody says so: TCP finds out after half a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_outlives_connections_that_are_dead_without_a_word() {
    let server = PrivatePostgres::shared().unwrap();
    let url = server.database("frozen").unwrap();
    let (before, behind) = url.split_once("127.0.0.1:").unwrap();
    let (port, database) = behind.split_once('/').unwrap();
    let proxy = Proxy::before(port.parse().unwrap()).await.unwrap();
    let by_proxy = format!("{before}{}/{database}", proxy.address());

    let (log, open) = (Log::default(), Arc::new(Semaphore::new(0)));
    let (note, gate) = (log.clone(), open.clone());
    let slow = move |n: u64| {
        let (note, gate) = (note.clone(), gate.clone());
        async move {
            note.note("slow");
            // Closed is open.
            let _ = gate.acquire().await;
            Res::Ok(n)
        }
    };
    let flow = workflow("frozen").define(|flow, n| flow.step("slow", slow, n)).unwrap();
    let lease = secs(3);
    let engine = builder().store(by_proxy.as_str()).lease(lease).grace(millis(10)).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    until("the step", async || log.count("slow") == 1).await;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let renewed_until = async || {
        let row = client.query_one("SELECT max(until), count(*), bool_or(ended) FROM fastn.flow_leases", &[]).await;
        let row = row.unwrap();
        assert_eq!((row.get(1), row.get(2)), (1_i64, false), "the lease was lost");
        row.get::<_, i64>(0)
    };
    let first = renewed_until().await;
    // A renewal or two by connections that are alive.
    until("a renewal", async || renewed_until().await > first).await;
    proxy.freeze();
    let last = renewed_until().await;
    // Only what is asked for again and again after that.
    let later = last + i64::try_from(2 * lease.as_micros()).unwrap();
    until("renewals by other connections", async || renewed_until().await > later).await;
    open.close();
    assert_eq!(run.output().await.unwrap(), 7);
    assert_eq!(log.count("slow"), 1);
    drop(engine);
}
