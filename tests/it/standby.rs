//! A second process on one SQLite file: it stands by, starts and steers runs, and takes over when the first one dies.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fastn::prelude::*;

use crate::world::{Res, builder};

/// Set for a copy of this program that is to be killed: the folder of its store.
const FIRST: &str = "FASTN_TEST_FIRST";

/// Notes that it is done by which process, then passes its value on.
fn noting(folder: &Path) -> impl Fn(StepCx, u64) -> crate::world::StepFuture + Clone + Send + Sync + 'static {
    let log = folder.join("log");
    move |cx, n| {
        let log = log.clone();
        Box::pin(async move {
            let info = cx.info();
            let line = format!("{}\t{}\t{}\t{}\n", info.run, info.node, info.part.as_str(), std::process::id());
            std::fs::OpenOptions::new().append(true).create(true).open(log)?.write_all(line.as_bytes())?;
            Ok(n)
        })
    }
}

/// A chain whose third step does not end in the first process, unless it is told to.
fn chain(folder: &Path) -> Workflow<u64, u64> {
    let note = noting(folder);
    let undo = move |cx: StepCx, n: u64| {
        let note = note.clone();
        async move { note(cx, n).await.map(drop) }
    };
    let stays = std::env::var(FIRST).is_ok();
    let held = move |cx: StepCx, n: u64| async move {
        if stays && n % 2 == 1 {
            cx.cancelled().await;
        }
        Res::Ok(n)
    };
    workflow("chain")
        .define(|flow, n| {
            let a = flow.step("a", noting(folder).undo(undo), n);
            let b = flow.step("b", noting(folder), a);
            let held = flow.step("held", held, b);
            flow.step("c", noting(folder), held)
        })
        .unwrap()
}

async fn open(folder: &Path, flow: &Workflow<u64, u64>) -> Engine {
    let url = format!("sqlite:{}", folder.join("runs.db").display());
    builder().store(url).serve(flow).open().await.unwrap()
}

/// Not a test of its own: what the first process does. Without the variable it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first() {
    let Ok(folder) = std::env::var(FIRST) else { return };
    let folder = PathBuf::from(folder);
    let flow = chain(&folder);
    let engine = open(&folder, &flow).await;
    for n in [1, 2, 3] {
        let run = engine.start(&flow, n).key(&format!("first {n}")).await.unwrap();
        println!("\nstarted {}", run.id());
    }
    std::future::pending().await
}

fn begin(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "standby::first", "--nocapture", "--test-threads=1"])
        .env(FIRST, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Ends a process whatever becomes of the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Which processes did what, how often.
fn deeds(folder: &Path) -> BTreeMap<(String, String, String), Vec<String>> {
    let mut deeds: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for line in std::fs::read_to_string(folder.join("log")).unwrap_or_default().lines() {
        let mut parts = line.split('\t').map(str::to_owned);
        let mut part = || parts.next().unwrap();
        deeds.entry((part(), part(), part())).or_default().push(part());
    }
    deeds
}

#[tokio::test]
async fn the_second_process_steers_the_first_and_takes_over_when_it_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut child = Killed(begin(folder));
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.filter(|line| line.starts_with("started ")).take(3).count(), 3);
    let first = child.0.id().to_string();

    let flow = chain(folder);
    let engine = open(folder, &flow).await;
    let handle = |key: &str| engine.runs().handle::<u64>(&TenantId::default(), RunId::named(key));
    // One of the first process has ended there, which this one learns from the store.
    assert_eq!(handle("first 2").output().await.unwrap(), 2);
    // What is started here is run there.
    let began = Instant::now();
    let ours = engine.start(&flow, 4).key("second 4").await.unwrap();
    assert_eq!(ours.output().await.unwrap(), 4);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}: both are woken by the other's doings");
    assert!(deeds(folder).values().all(|by| *by == [first.clone()]), "{:?}", deeds(folder));
    // And what runs there is cancelled from here.
    let began = Instant::now();
    assert!(handle("first 1").cancel("the customer has left").await.unwrap());
    assert_eq!(handle("first 1").output().await.unwrap_err().kind(), ErrorKind::Cancelled);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    // A run that is started twice, here and there, is one.
    let same = engine.start(&flow, 3).key("first 3").await.unwrap();
    let other = engine.start(&flow, 33).key("first 3").await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Conflict);
    let waits = engine.start(&flow, 5).key("second 5").await.unwrap();

    child.0.kill().unwrap();
    let began = Instant::now();
    assert_eq!((same.output().await.unwrap(), waits.output().await.unwrap()), (3, 5));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    engine.shutdown().await.unwrap();

    let deeds = deeds(folder);
    let second = std::process::id().to_string();
    let done = |key: &str, node: &str, part: &str| {
        let deed = (RunId::named(key).to_string(), node.to_owned(), part.to_owned());
        deeds.get(&deed).cloned().unwrap_or_default()
    };
    for (key, last) in [("first 2", &first), ("second 4", &first), ("first 3", &second), ("second 5", &second)] {
        assert_eq!((done(key, "a", "work").len(), done(key, "b", "work").len()), (1, 1), "{key}: {deeds:?}");
        assert_eq!(done(key, "c", "work"), std::slice::from_ref(last), "{key}: {deeds:?}");
    }
    assert_eq!(done("first 1", "a", "undo"), [first], "{deeds:?}");
    assert_eq!(done("first 1", "c", "work"), Vec::<String>::new(), "{deeds:?}");
}

#[tokio::test]
async fn an_engine_that_stands_by_takes_over_when_the_first_shuts_down() {
    let folder = tempfile::tempdir().unwrap();
    let flow = chain(folder.path());
    let (first, second) = (open(folder.path(), &flow).await, open(folder.path(), &flow).await);
    let run = second.start(&flow, 2).await.unwrap();
    assert_eq!(run.output().await.unwrap(), 2);
    let began = Instant::now();
    first.shutdown().await.unwrap();
    assert_eq!(second.start(&flow, 4).await.unwrap().output().await.unwrap(), 4);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // Who shuts down while it stands by keeps nobody from the file.
    let third = open(folder.path(), &flow).await;
    third.shutdown().await.unwrap();
    assert_eq!(second.start(&flow, 6).await.unwrap().output().await.unwrap(), 6);
    second.shutdown().await.unwrap();
}

/// It has the lock of the file all the while, and its steps go on when it does.
#[tokio::test]
async fn a_first_process_that_is_stalled_is_taken_over_from_and_commits_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut child = Killed(begin(folder));
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.filter(|line| line.starts_with("started ")).take(3).count(), 3);
    let first = child.0.id().to_string();
    let signal = |name: &str| assert!(Command::new("kill").args([name, &first]).status().unwrap().success());

    let flow = chain(folder);
    let engine = open(folder, &flow).await;
    let handle = |key: &str| engine.runs().handle::<u64>(&TenantId::default(), RunId::named(key));
    assert_eq!(handle("first 2").output().await.unwrap(), 2);
    // Until both others have come to the step that does not end there.
    let b = |key: &str| (RunId::named(key).to_string(), "b".to_owned(), "work".to_owned());
    while !["first 1", "first 3"].iter().all(|key| deeds(folder).contains_key(&b(key))) {
        tokio::task::yield_now().await;
    }
    signal("-STOP");
    let began = Instant::now();
    assert_eq!((handle("first 1").output().await.unwrap(), handle("first 3").output().await.unwrap()), (1, 3));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    signal("-CONT");
    for n in [4, 6, 8] {
        let run = engine.start(&flow, n).key(&format!("second {n}")).await.unwrap();
        assert_eq!(run.output().await.unwrap(), n);
    }
    engine.shutdown().await.unwrap();

    let (deeds, second) = (deeds(folder), std::process::id().to_string());
    for ((run, node, part), by) in &deeds {
        assert_eq!(by.len(), 1, "{node} {part} of {run} was done again: {deeds:?}");
    }
    for (key, last) in [("first 2", &first), ("first 1", &second), ("first 3", &second), ("second 4", &second)] {
        let done = deeds.get(&(RunId::named(key).to_string(), "c".to_owned(), "work".to_owned())).cloned();
        assert_eq!(done.unwrap_or_default(), std::slice::from_ref(last), "{key}: {deeds:?}");
    }
}
