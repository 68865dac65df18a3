//! What PostgreSQL tells nobody, since a notification or the connection for it was lost, is found by looking.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastn::prelude::*;
use fastn::runtime::Queue;
use fastn_testkit::ManualClock;
use fastn_testkit::server::{PrivatePostgres, Proxy};

use crate::world::{Log, builder, noted};

const GO: Signal<u64> = Signal::new("go");

/// What a look may take on a busy machine.
const SLACK: Duration = Duration::from_millis(1_500);

/// Two engines that hear of each other through a proxy. What the first starts only the second may run.
struct Pair {
    proxy: Proxy,
    log: Log,
    flow: Workflow<u64, u64>,
    near: Engine,
    far: Engine,
}

/// A run that is done at once, or waits for a signal.
fn flow(log: &Log, waits: bool) -> Workflow<u64, u64> {
    let flow = workflow("far").requires("far");
    let defined = flow.define(|flow, n| {
        let first = flow.step("first", noted(log, "first"), n);
        let told = if waits { flow.wait("told", GO, first) } else { first };
        flow.step("last", noted(log, "last"), told)
    });
    defined.unwrap()
}

impl Pair {
    async fn new(name: &str, waits: bool) -> Self {
        let url = PrivatePostgres::shared().unwrap().database(name).unwrap();
        let (before, behind) = url.split_once("127.0.0.1:").unwrap();
        let (port, database) = behind.split_once('/').unwrap();
        let proxy = Proxy::before(port.parse().unwrap()).await.unwrap();
        let url = format!("{before}{}/{database}?sslmode=disable", proxy.address());
        let log = Log::default();
        let flow = flow(&log, waits);
        let queue = || Queue::new("q");
        let near = builder().store(url.as_str()).queue(queue()).serve(&flow).open().await.unwrap();
        let far = builder().store(url).queue(queue()).tags(["far"]).serve(&flow).open().await.unwrap();
        let pair = Self { proxy, log, flow, near, far };
        // Both hear each other.
        let run = pair.near.start(&pair.flow, 1).queue("q").await.unwrap();
        if waits {
            run.signal(GO, &1).await.unwrap();
        }
        let output = tokio::time::timeout(secs(20), run.output()).await;
        assert_eq!(output.expect("they hear each other").unwrap(), 1);
        pair.log.take();
        pair
    }

    /// Loses everything that is told from now on.
    fn lose(&self) {
        self.proxy.swallow(b'A');
    }

    async fn end(self) {
        assert!(self.proxy.swallowed() > 0, "something was told");
        self.near.shutdown().await.unwrap();
        self.far.shutdown().await.unwrap();
    }
}

async fn until(log: &Log, what: &str, most: Duration) {
    let began = Instant::now();
    while log.count(what) == 0 {
        assert!(began.elapsed() < most, "`{what}` is not done after {most:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_which_nobody_heard_is_found_within_a_second_and_a_half() {
    let pair = Pair::new("lost_runs", false).await;
    pair.lose();
    pair.near.start(&pair.flow, 7).await.unwrap();
    until(&pair.log, "last", millis(1_500) + SLACK).await;
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_a_queue_of_which_nobody_heard_is_found_within_five_seconds_and_a_half() {
    let pair = Pair::new("lost_queues", false).await;
    pair.lose();
    pair.near.start(&pair.flow, 7).queue("q").await.unwrap();
    until(&pair.log, "last", millis(5_500) + SLACK).await;
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_of_which_nobody_heard_is_found_within_five_seconds_and_an_end_within_two() {
    let pair = Pair::new("lost_messages", true).await;
    let run = pair.near.start(&pair.flow, 7).await.unwrap();
    until(&pair.log, "first", secs(20)).await;
    let waits = pair.near.runs().handle::<u64>(run.tenant(), run.id());
    let waiting = tokio::spawn(async move { waits.output().await });
    pair.lose();
    run.signal(GO, &7).await.unwrap();
    until(&pair.log, "last", secs(5) + SLACK).await;
    let output = tokio::time::timeout(secs(2) + SLACK, waiting).await;
    assert_eq!(output.expect("its end is looked for").unwrap().unwrap(), 7);
    pair.end().await;
}

/// The clock of who is told stands still, so that he looks for nothing by himself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_could_not_listen_for_a_while_looks_for_everything_when_he_can_again() {
    let server = PrivatePostgres::shared().unwrap();
    let url = server.database("deaf").unwrap();
    let sql = |statement: &str| server.sql("deaf", statement).unwrap();
    sql("CREATE ROLE deaf LOGIN PASSWORD 'p' SUPERUSER");
    let place = url.split_once('@').unwrap().1;
    let log = Log::default();
    let flow = flow(&log, true);
    let clock = Arc::new(ManualClock::at(std::time::SystemTime::now().into()));
    let far = builder().store(format!("postgres://deaf:p@{place}")).clock(clock).lease(secs(60));
    let far = far.tags(["far"]).serve(&flow).open().await.unwrap();
    let near = builder().store(url.as_str()).serve(&flow).open().await.unwrap();
    for n in 1..4 {
        let run = near.start(&flow, n).await.unwrap();
        until(&log, "first", secs(20)).await;
        let listening = "usename = 'deaf' AND (query LIKE 'LISTEN%' OR query LIKE '%.ends%')";
        let cut = format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {listening}");
        sql("ALTER ROLE deaf NOLOGIN");
        assert_eq!(sql(&cut), "1", "one connection listens");
        run.signal(GO, &n).await.unwrap();
        assert_eq!(log.take(), ["first"], "nobody has heard of it");
        sql("ALTER ROLE deaf LOGIN");
        until(&log, "last", secs(6)).await;
        log.take();
    }
    near.shutdown().await.unwrap();
    far.shutdown().await.unwrap();
}
