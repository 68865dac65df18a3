//! Runs over which executors die: they are parked, and keep no other run from its end.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use fastn::core::ExecutorId;
use fastn::prelude::*;
use fastn::runtime::{Clock, LetterQuery};
use fastn::store::{ClaimAsk, LeaseAsk, Suspects};
use fastn_testkit::ManualClock;
use fastn_testkit::server::PrivatePostgres;
use tokio::sync::{Notify, watch};

use crate::world::{Log, Res, builder, failure_of, memory, noted};

/// A flow whose second step does not end before it is let, with something to undo before it.
fn deadly(log: &Log, gate: &Arc<Notify>) -> Workflow<u64, u64> {
    let (note, gate) = (log.clone(), gate.clone());
    let kills = move |n: u64| {
        let (note, gate) = (note.clone(), gate.clone());
        async move {
            note.note("kill");
            gate.notified().await;
            Res::Ok(n)
        }
    };
    let note = log.clone();
    let undo = move |_: u64| {
        note.note("undo");
        async { Res::Ok(()) }
    };
    workflow("deadly")
        .define(|flow, n| {
            let first = flow.step("first", noted(log, "first").undo(undo), n);
            let kills = flow.step("kill", kills, first);
            flow.step("last", noted(log, "last"), kills)
        })
        .unwrap()
}

/// How executors of a run end, one after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Dies,
    ShutsDown,
}

/// Lets executors that have a run whose second step is under way end, and gives how it ends under one more that lets it.
async fn check(after: u32, ends: &[End]) -> (RunStatus, Vec<String>, Option<Failure>) {
    let (log, gate, store) = (Log::default(), Arc::new(Notify::new()), memory());
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
    let flow = deadly(&log, &gate);
    let open = || {
        let builder = builder().store(store.clone()).clock(clock.clone()).grace(millis(0)).poison_after(after);
        builder.serve(&flow).open()
    };
    let engine = open().await.unwrap();
    drop(engine.start(&flow, 7).key("run").await.unwrap());
    while log.count("kill") == 0 {
        tokio::task::yield_now().await;
    }
    engine.shutdown().await.unwrap();
    let serves = vec![store.list(RunQuery::default()).await.unwrap().runs[0].definition.clone()];
    for end in ends {
        // An engine whose process lives gives its lease back when it is dropped.
        let (now, executor) = (clock.now(), ExecutorId::new("other").unwrap());
        let lease = store.acquire(LeaseAsk { executor, now, ttl: secs(5) }).await.unwrap();
        let ask =
            ClaimAsk { lease: lease.token, now, serves: serves.clone(), limit: 10, suspects: Suspects::default() };
        assert_eq!(store.claim(ask).await.unwrap().len(), 1);
        if *end == End::ShutsDown {
            store.release(&lease).await.unwrap();
        }
        clock.advance(secs(60));
    }
    let engine = open().await.unwrap();
    let run = engine.start(&flow, 7).key("run").await.unwrap();
    gate.notify_one();
    let outcome = run.outcome().await.unwrap();
    let status = run.status().await.unwrap();
    engine.shutdown().await.unwrap();
    let failure = if let Outcome::Stuck(failure) = outcome { Some(failure) } else { None };
    (status, log.take(), failure)
}

#[tokio::test]
async fn a_run_over_which_executors_die_again_and_again_is_parked_and_nothing_of_it_is_done() {
    let (status, log, failure) = check(3, &[End::Dies; 3]).await;
    assert_eq!((status, log), (RunStatus::Stuck, ["first", "kill"].map(str::to_owned).to_vec()));
    let failure = failure.unwrap();
    assert_eq!((failure.kind, failure.node.as_deref()), (FailureKind::POISON, Some("kill")));
    assert_eq!(
        failure.message,
        "its executors died 3 times in a row, and it got no further since 2027-01-15T08:00:00.000Z; under way: kill"
    );
}

#[tokio::test]
async fn fewer_deaths_than_that_do_not_park_a_run() {
    let (status, log, _) = check(3, &[End::Dies; 2]).await;
    assert_eq!((status, log.len()), (RunStatus::Succeeded, 4), "{log:?}");
}

#[tokio::test]
async fn an_executor_that_shuts_down_has_not_died() {
    let (status, ..) = check(3, &[End::ShutsDown; 8]).await;
    assert_eq!(status, RunStatus::Succeeded);
    let (dies, shuts) = (End::Dies, End::ShutsDown);
    let (status, ..) = check(3, &[dies, dies, shuts, dies, dies, shuts, dies, dies]).await;
    assert_eq!(status, RunStatus::Succeeded, "the count begins anew");
}

#[tokio::test]
async fn an_engine_that_is_told_so_parks_nothing() {
    assert_eq!(check(0, &[End::Dies; 12]).await.0, RunStatus::Succeeded);
}

/// Set for a copy of this program that dies: the URL of its store, and a file for what its steps did.
const VICTIM: &str = "FASTN_TEST_POISON";

const GOOD: u64 = 10;

/// How many steps a good run does while a process lives, beside a run that kills it.
const A_LIFE: u64 = 2;

/// Aborts the process once every good run has got further.
fn poison(log: &Path, further: &watch::Receiver<u64>) -> Workflow<u64, u64> {
    let (log, further) = (log.to_owned(), further.clone());
    let kill = move |n: u64| {
        let (log, mut further) = (log.clone(), further.clone());
        async move {
            further.wait_for(|runs| *runs == GOOD).await.map_err(StepError::new)?;
            std::fs::OpenOptions::new().append(true).create(true).open(log)?.write_all(b"kill\n")?;
            if n > 0 { std::process::abort() } else { Res::Ok(n) }
        }
    };
    workflow("poison").define(|flow, n| flow.step("kill", kill, n)).unwrap()
}

/// A chain that gets a little further in every life, and to its end in one in which `free` is raised.
fn good(further: watch::Sender<u64>, free: &watch::Receiver<bool>) -> Workflow<u64, u64> {
    let further = Arc::new(further);
    let begun: Arc<Mutex<std::collections::BTreeMap<u64, u64>>> = Arc::default();
    let step =
        move |begun: Arc<Mutex<std::collections::BTreeMap<u64, u64>>>, mut free: watch::Receiver<bool>, n: u64| {
            let further = further.clone();
            async move {
                let steps = {
                    let mut begun = begun.lock().unwrap();
                    let steps = begun.entry(n).or_default();
                    *steps += 1;
                    *steps
                };
                // What came before this step is recorded by now.
                if steps == A_LIFE + 1 {
                    further.send_modify(|runs| *runs += 1);
                }
                if steps > A_LIFE {
                    free.wait_for(|free| *free).await.map_err(StepError::new)?;
                }
                Res::Ok(n)
            }
        };
    workflow("good")
        .define(|flow, n| {
            let mut last = n;
            for number in 0..20 {
                let (step, begun, free) = (step.clone(), begun.clone(), free.clone());
                last = flow.step(&format!("step {number}"), move |n: u64| step(begun.clone(), free.clone(), n), last);
            }
            last
        })
        .unwrap()
}

/// Not a test of its own: what the copy does. Without the variable it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Ok(told) = std::env::var(VICTIM) else { return };
    let (url, log) = told.split_once('|').unwrap();
    let ((further, got), (free, freed)) = (watch::channel(0), watch::channel(false));
    let (poison, good) = (poison(Path::new(log), &got), good(further, &freed));
    let engine = builder().store(url).lease(millis(300)).serve(&poison).serve(&good).open().await.unwrap();
    let kills = engine.start(&poison, 1).key("poison").await.unwrap();
    let mut runs = Vec::new();
    for n in 0..GOOD {
        runs.push(engine.start(&good, n).key(&format!("good {n}")).await.unwrap());
    }
    let (status, failure) = failure_of(&kills).await;
    assert_eq!((status, failure.kind), (RunStatus::Stuck, FailureKind::POISON));
    free.send(true).unwrap();
    for (n, run) in runs.iter().enumerate() {
        assert_eq!(run.output().await.unwrap(), n as u64);
    }
    engine.shutdown().await.unwrap();
}

/// Starts the program again and again, as whoever looks after it would, until it ends by itself.
async fn check_processes(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let log: PathBuf = folder.path().join("log");
    let mut deaths = 0;
    loop {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "poison::victim", "--nocapture", "--test-threads=1"])
            .env(VICTIM, format!("{url}|{}", log.display()))
            .current_dir(&folder)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if output.status.success() {
            break;
        }
        deaths += 1;
        assert!(deaths <= 5 && output.status.code().is_none(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let killed = std::fs::read_to_string(&log).unwrap().lines().count();
    assert_eq!((deaths, killed), (5, 5), "it was begun five times, and no more");

    let engine = builder().store(url).open().await.unwrap();
    let letters = engine.dead_letters().list(LetterQuery::default()).await.unwrap().letters;
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!((letter.run.key.run, letter.run.status), (RunId::named("poison"), RunStatus::Stuck));
    assert_eq!((&letter.failure.kind, letter.step.as_deref()), (&FailureKind::POISON, Some("kill")));
    assert!(letter.failure.message.starts_with("its executors died 5 times in a row"), "{}", letter.failure);
    let query = RunQuery { status: vec![RunStatus::Succeeded], ..RunQuery::default() };
    assert_eq!(engine.runs().list(query).await.unwrap().runs.len() as u64, GOOD);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_run_that_aborts_its_process_is_parked_and_the_others_end_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    check_processes(&format!("sqlite:{}", folder.path().join("runs.db").display())).await;
}

#[tokio::test]
async fn a_run_that_aborts_its_process_is_parked_and_the_others_end_on_postgres() {
    check_processes(&PrivatePostgres::shared().unwrap().database("poison").unwrap()).await;
}

/// Set for a copy of this program that dies beside runs that are slow: the URL of its store, and a queue or nothing.
const COMPANY: &str = "FASTN_TEST_POISON_COMPANY";

/// How many runs are begun before the one that kills, and how many after it.
const SLOW: (u64, u64) = (3, 2);

/// Not a test of its own: what the copy does. Without the variable it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn company() {
    let Ok(told) = std::env::var(COMPANY) else { return };
    let (url, queue) = told.split_once('|').unwrap();
    // Not to wait for anything: a step that takes longer than the process lives, if that one kills it.
    let takes = |span: std::time::Duration, kills: bool| {
        move |n: u64| async move {
            tokio::time::sleep(span).await;
            if kills { std::process::abort() } else { Res::Ok(n) }
        }
    };
    let slow = workflow("slow").define(|flow, n| flow.step("slow", takes(millis(400), false), n)).unwrap();
    let kills = workflow("kills").define(|flow, n| flow.step("kill", takes(millis(100), true), n)).unwrap();
    let builder = builder().store(url).queue(fastn::runtime::Queue::new("jobs")).lease(millis(300));
    let engine = builder.serve(&slow).serve(&kills).open().await.unwrap();
    let start = |flow: &Workflow<u64, u64>, n: u64| {
        let start = engine.start(flow, n).key(&format!("run {n}"));
        if queue.is_empty() { start } else { start.queue(queue) }
    };
    let mut runs = Vec::new();
    for n in 0..SLOW.0 {
        runs.push(start(&slow, n).await.unwrap());
    }
    let poison = start(&kills, SLOW.0).await.unwrap();
    for n in SLOW.0 + 1..=SLOW.0 + SLOW.1 {
        runs.push(start(&slow, n).await.unwrap());
    }
    for run in &runs {
        run.output().await.unwrap();
    }
    let (status, failure) = failure_of(&poison).await;
    assert_eq!((status, failure.kind), (RunStatus::Stuck, FailureKind::POISON));
    engine.shutdown().await.unwrap();
}

/// Starts the program again and again until it ends by itself, which it does only if every run but one has its output.
fn check_company(url: &str, queue: &str) {
    let mut deaths = 0;
    loop {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "poison::company", "--nocapture", "--test-threads=1"])
            .env(COMPANY, format!("{url}|{queue}"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if output.status.success() {
            break;
        }
        deaths += 1;
        assert!(deaths <= 5 && output.status.code().is_none(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(deaths, 5);
}

#[test]
fn runs_that_shared_their_executors_with_one_that_kills_are_not_parked_for_it_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    check_company(&format!("sqlite:{}", folder.path().join("runs.db").display()), "");
    check_company(&format!("sqlite:{}", folder.path().join("queued.db").display()), "jobs");
}

#[test]
fn runs_that_shared_their_executors_with_one_that_kills_are_not_parked_for_it_on_postgres() {
    let server = PrivatePostgres::shared().unwrap();
    check_company(&server.database("company").unwrap(), "");
    check_company(&server.database("company_queued").unwrap(), "jobs");
}
