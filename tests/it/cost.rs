//! What a step costs, in figures that a change cannot raise unseen.

use std::path::Path;
use std::sync::Arc;

use fastn::core::Timestamp;
use fastn::prelude::*;
use fastn::store::{PostgresOptions, PostgresStore};
use fastn::store::{SqliteOptions, SqliteStore, Store};
use fastn_testkit::server::{PrivatePostgres, Proxy, Said};
use fastn_testkit::{Cost, ManualClock, MeterStore};

use crate::world::{Log, memory, noted};

fn chain(steps: u64) -> Workflow<u64, u64> {
    let log = Log::default();
    workflow("chain")
        .define(|flow, n| (0..steps).fold(n, |port, i| flow.step(&format!("s{i}"), noted(&log, "s"), port)))
        .unwrap()
}

/// Runs the chain once alone, after another one that pays for what is done once, and shows what it cost. `between` is
/// told when the second begins.
async fn run_once(steps: u64, store: Arc<dyn Store>, between: impl FnOnce()) -> Cost {
    let (flow, meter) = (chain(steps), MeterStore::new(store));
    // Times in records are all of one size.
    let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
    let builder = Engine::builder().store(Arc::new(meter.clone()) as Arc<dyn Store>).clock(Arc::new(clock));
    let engine = builder.serve(&flow).open().await.unwrap();
    engine.start(&flow, 7).await.unwrap().output().await.unwrap();
    meter.take();
    between();
    engine.start(&flow, 7).await.unwrap().output().await.unwrap();
    let cost = meter.take();
    engine.shutdown().await.unwrap();
    cost
}

#[tokio::test]
async fn a_step_alone_costs_one_commit_of_a_few_bytes_and_no_read() {
    for steps in [1, 10, 100] {
        let cost = run_once(steps, memory(), || {}).await;
        // One more commit for the start; the end of the run is in the commit of the last step.
        assert_eq!((cost.commits, cost.writes, cost.reads), (steps + 1, steps + 1, 0), "{cost:?}");
        assert!(cost.record_bytes <= 20 + steps * 30, "{cost:?}");
    }
}

/// How many pages a chain of so many steps makes SQLite write.
async fn pages(steps: u64) -> u64 {
    fn size(wal: &Path) -> u64 {
        std::fs::metadata(wal).unwrap().len()
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, wal) = (folder.path().join("runs.db"), folder.path().join("runs.db-wal"));
    let store = Arc::new(SqliteStore::open(&path, SqliteOptions::default()).await.unwrap()) as Arc<dyn Store>;
    let mut before = 0;
    run_once(steps, store.clone(), || before = size(&wal)).await;
    let after = size(&wal);
    let header = std::fs::read(&wal).unwrap();
    store.close().await.unwrap();
    // See "WAL-mode File Format" of SQLite: the size of a page stands in the log's header, and each has a header of its own.
    let page = u32::from_be_bytes(header[8..12].try_into().unwrap());
    (after - before) / u64::from(page + 24)
}

#[tokio::test]
async fn a_step_alone_costs_sqlite_one_page() {
    let (ten, hundred) = (pages(10).await, pages(100).await);
    assert!(ten <= 25, "a start, ten steps and an end write {ten} pages");
    let slope = hundred - ten;
    // Now and then a page is full, and the next one begins.
    assert!(slope <= 95, "ninety more steps write {slope} more pages");
}

/// How often a chain of so many steps makes a client of PostgreSQL say something, and how many bytes.
async fn said(steps: u64) -> (u64, u64) {
    let url = PrivatePostgres::shared().unwrap().database(&format!("cost_{steps}")).unwrap();
    let (before, behind) = url.split_once("127.0.0.1:").unwrap();
    let (port, database) = behind.split_once('/').unwrap();
    let proxy = Proxy::before(port.parse().unwrap()).await.unwrap();
    let url = format!("{before}{}/{database}?sslmode=disable", proxy.address());
    let store = Arc::new(PostgresStore::open(&url, PostgresOptions::default()).await.unwrap()) as Arc<dyn Store>;
    let mut before = Said::default();
    run_once(steps, store.clone(), || before = proxy.said()).await;
    let after = proxy.said();
    store.close().await.unwrap();
    (after.requests - before.requests, after.bytes - before.bytes)
}

#[tokio::test]
async fn a_step_alone_costs_postgres_one_request_of_less_than_a_kilobyte() {
    let (ten, thousand) = (said(10).await, said(1_000).await);
    let (requests, bytes) = (thousand.0 - ten.0, thousand.1 - ten.1);
    // Whoever has a lease says so now and then, and looks whether there is anything to do.
    assert!(
        (985..=1_030).contains(&requests),
        "990 more steps say {requests} times something more: {ten:?}, {thousand:?}"
    );
    assert!(bytes <= 990 * 850, "990 more steps say {bytes} bytes more");
}
