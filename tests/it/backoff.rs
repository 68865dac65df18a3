//! A process that is killed while its runs wait to be tried again: another one tries them when they are due, not at once and
//! not never.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fastn::core::Event;
use fastn::prelude::*;
use fastn_testkit::server::PrivatePostgres;

use crate::copies::Copy;
use crate::world::{Res, builder};

/// Set for the copy of this program that is to be killed: its folder, how long its runs stay in memory, and its store.
const VICTIM: &str = "FASTN_TEST_BACKOFF";

/// How long its lease lasts, and how long two runs wait: one is due before anybody can have it, one long after.
const LEASE: u64 = 1_500;
const SOON: u64 = 1_000;
const LATE: u64 = 5_000;

/// A step that fails the first time, and notes who tried it when.
fn flow(name: &str, wait: u64, log: PathBuf) -> Workflow<u64, u64> {
    let step = move |cx: StepCx, n: u64| {
        let log = log.clone();
        async move {
            let info = cx.info();
            let now = Timestamp::from(std::time::SystemTime::now()).as_millis();
            let line = format!("{}\t{}\t{now}\t{}\n", info.workflow, info.attempt.0, std::process::id());
            std::fs::OpenOptions::new().append(true).create(true).open(log)?.write_all(line.as_bytes())?;
            if info.attempt.0 == 1 { Err(StepError::new("not yet")) } else { Res::Ok(n) }
        }
    };
    let retry = Retry::fixed(millis(wait)).attempts(2);
    workflow(name).define(|flow, n| flow.step("try", step.retry(retry), n)).unwrap()
}

fn flows(folder: &Path) -> [Workflow<u64, u64>; 2] {
    let log = folder.join("log");
    [flow("soon", SOON, log.clone()), flow("late", LATE, log)]
}

async fn engine(url: &str, park: Duration, flows: &[Workflow<u64, u64>; 2]) -> Engine {
    let builder = builder().store(url).lease(millis(LEASE)).park_after(park).serve(&flows[0]).serve(&flows[1]);
    builder.open().await.unwrap()
}

/// Not a test of its own: what the killed copy does. Without the variable it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Ok(told) = std::env::var(VICTIM) else { return };
    let told: Vec<_> = told.split('|').collect();
    let flows = flows(Path::new(told[0]));
    let engine = engine(told[2], millis(told[1].parse().unwrap()), &flows).await;
    for flow in &flows {
        let run = engine.start(flow, 7).key(flow.plan().name().as_str()).await.unwrap();
        while engine.runs().inspect(run.tenant(), run.id()).await.unwrap().history.records.is_empty() {
            tokio::task::yield_now().await;
        }
    }
    println!("\nboth wait");
    std::future::pending::<()>().await;
}

async fn check(url: String, park: u64) {
    let folder = tempfile::tempdir().unwrap();
    let told = format!("{}|{park}|{url}", folder.path().display());
    let mut copy = Copy::begin("backoff::victim", VICTIM, &told);
    copy.until("both wait");
    let victim = copy.id();
    copy.kill();
    let flows = flows(folder.path());
    let engine = engine(&url, millis(park), &flows).await;
    for flow in &flows {
        let name = flow.plan().name().as_str();
        let run = engine.runs().handle::<u64>(&TenantId::default(), RunId::named(name));
        let output = tokio::time::timeout(secs(20), run.output()).await;
        assert_eq!(output.unwrap_or_else(|_| panic!("`{name}` is never tried again")).unwrap(), 7);
    }

    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    let mut tries: Vec<Vec<&str>> = log.lines().map(|line| line.split('\t').collect()).collect();
    tries.sort();
    let number = |text: &str| text.parse::<i64>().unwrap();
    let [late, later, soon, sooner] = &tries[..] else { panic!("each is tried twice: {log}") };
    for (first, second) in [(late, later), (soon, sooner)] {
        assert_eq!((first[1], second[1], number(first[3])), ("1", "2", i64::from(victim)), "{log}");
        assert_eq!(number(second[3]), i64::from(std::process::id()), "{log}");
        let run = RunId::named(first[0]);
        let history = engine.runs().inspect(&TenantId::default(), run).await.unwrap().history;
        let due = history.records.iter().find_map(|record| match &record.event {
            Event::Failed { retry_at, .. } => *retry_at,
            _ => None,
        });
        let after = number(second[2]) - due.unwrap().as_millis();
        // What is due when it is taken over is tried then, and the rest to the moment.
        let most = if first[0] == "soon" { 5_000 } else { 1_500 };
        assert!((0..most).contains(&after), "{} is tried {after} ms after it was due: {log}", first[0]);
    }
    engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_to_be_tried_again_when_its_process_dies_is_tried_when_it_is_due_on_postgres() {
    check(PrivatePostgres::shared().unwrap().database("backoff").unwrap(), 60_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_outside_of_memory_when_its_process_dies_is_tried_when_it_is_due_on_postgres() {
    check(PrivatePostgres::shared().unwrap().database("backoff_parked").unwrap(), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_to_be_tried_again_when_its_process_dies_is_tried_when_it_is_due_on_sqlite() {
    for park in [60_000, 1] {
        let folder = tempfile::tempdir().unwrap();
        check(format!("sqlite:{}", folder.path().join("runs.db").display()), park).await;
    }
}
