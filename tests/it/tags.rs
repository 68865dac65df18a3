//! Executors have tags, and runs go on only where those are that their workflow requires.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastn::prelude::*;
use fastn::runtime::Queue;
use fastn::store::{PostgresOptions, PostgresStore, Store};
use fastn_testkit::server::PrivatePostgres;

use crate::world::{Log, builder, memory, noted};

/// A workflow that requires tags, and notes where it runs.
fn train(log: &Log, place: &'static str, tags: &[&str]) -> Workflow<u64, u64> {
    let train = tags.iter().fold(workflow("train"), |train, tag| train.requires(*tag));
    train
        .define(|flow, n| {
            let first = flow.step("first", noted(log, place), n);
            flow.step("last", noted(log, place), first)
        })
        .unwrap()
}

async fn engine(store: &Arc<dyn Store>, flow: &Workflow<u64, u64>, tags: &[&str]) -> Engine {
    builder().store(store.clone()).tags(tags.iter().copied()).serve(flow).open().await.unwrap()
}

#[tokio::test]
async fn a_run_is_started_anywhere_and_goes_on_where_its_tags_are() {
    let (store, log) = (memory(), Log::default());
    let (here, there) = (train(&log, "plain", &["gpu"]), train(&log, "gpu", &["gpu"]));
    let (plain, _gpu) = (engine(&store, &here, &[]).await, engine(&store, &there, &["eu", "gpu"]).await);
    let began = Instant::now();
    for n in 0..10 {
        assert_eq!(plain.start(&here, n).await.unwrap().output().await.unwrap(), n);
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}, and nothing was polled for", began.elapsed());
    assert_eq!((log.count("gpu"), log.count("plain")), (20, 0));
}

#[tokio::test]
async fn a_run_waits_for_an_executor_with_all_its_tags_and_says_so() {
    let (store, log) = (memory(), Log::default());
    let flow = train(&log, "run", &["gpu", "eu"]);
    let (first, second) = (engine(&store, &flow, &["gpu"]).await, engine(&store, &flow, &["eu", "us"]).await);
    let run = first.start(&flow, 7).key("run").await.unwrap();
    // It is attached to like any other, and steered.
    assert_eq!(second.start(&flow, 7).key("run").await.unwrap().id(), run.id());
    let waits_for = async |engine: &Engine| engine.runs().inspect(run.tenant(), run.id()).await.unwrap().waits_for;
    let lacks = |tag| Some(format!("an executor tagged eu, gpu: none has taken it, and this one lacks {tag}"));
    assert_eq!((waits_for(&first).await, waits_for(&second).await), (lacks("eu"), lacks("gpu")));
    assert_eq!((run.status().await.unwrap(), log.take().len()), (RunStatus::Pending, 0));
    let third = engine(&store, &flow, &["us", "eu", "gpu"]).await;
    assert_eq!(run.output().await.unwrap(), 7);
    assert_eq!((waits_for(&first).await, waits_for(&third).await), (None, None));
}

#[tokio::test]
async fn a_run_that_nobody_can_take_is_cancelled_by_whoever_takes_it() {
    let (store, log) = (memory(), Log::default());
    let flow = train(&log, "run", &["gpu"]);
    let plain = engine(&store, &flow, &[]).await;
    let run = plain.start(&flow, 7).await.unwrap();
    assert!(run.cancel("too dear").await.unwrap());
    let _gpu = engine(&store, &flow, &["gpu"]).await;
    assert_eq!(run.output().await.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn what_an_executor_leaves_goes_only_to_others_with_its_tags() {
    let (store, log) = (memory(), Log::default());
    let sleeps = |place| {
        workflow("train")
            .requires("gpu")
            .define(|flow, n| {
                let first = flow.step("first", noted(&log, place), n);
                let rested = flow.sleep("rest", millis(30), first);
                flow.step("last", noted(&log, place), rested)
            })
            .unwrap()
    };
    let (one, two, other) = (sleeps("one"), sleeps("two"), sleeps("plain"));
    let first = engine(&store, &one, &["gpu"]).await;
    let plain = engine(&store, &other, &[]).await;
    let run = first.start(&one, 7).await.unwrap();
    first.shutdown().await.unwrap();
    let run = plain.runs().handle::<u64>(run.tenant(), run.id());
    // This one has heard of what was left, and has had a look.
    assert_eq!(plain.runs().list(RunQuery::default()).await.unwrap().runs[0].holder, None);
    let _second = engine(&store, &two, &["gpu"]).await;
    assert_eq!(run.output().await.unwrap(), 7);
    assert_eq!((log.count("plain"), log.count("two") >= 1), (0, true));
}

#[tokio::test]
async fn a_run_of_a_queue_is_admitted_where_its_tags_are_and_holds_up_no_other() {
    let (store, log) = (memory(), Log::default());
    let queue = || Queue::new("models").concurrency(2);
    let flow = train(&log, "trained", &["gpu"]);
    let any = workflow("any").define(|flow, n| flow.step("do", noted(&log, "any"), n)).unwrap();
    let open = |tags: &'static [&'static str]| {
        builder().store(store.clone()).queue(queue()).tags(tags.iter().copied()).serve(&flow).serve(&any).open()
    };
    let plain = open(&[]).await.unwrap();
    let mut waiting = Vec::new();
    for n in 0..5 {
        waiting.push(plain.start(&flow, n).queue("models").await.unwrap());
    }
    assert_eq!(plain.start(&any, 7).queue("models").await.unwrap().output().await.unwrap(), 7);
    let said = plain.runs().inspect(waiting[0].tenant(), waiting[0].id()).await.unwrap().waits_for;
    assert_eq!(said.as_deref(), Some("an executor tagged gpu: none has taken it, and this one lacks gpu"));
    assert_eq!(log.count("trained"), 0);
    let _gpu = open(&["gpu"]).await.unwrap();
    for (n, run) in waiting.iter().enumerate() {
        assert_eq!(run.output().await.unwrap(), n as u64);
    }
    assert_eq!((log.count("trained"), log.count("any")), (10, 1));
}

#[tokio::test]
async fn who_has_no_store_and_not_the_tag_refuses_and_so_is_a_tag_that_is_none() {
    let log = Log::default();
    let flow = train(&log, "run", &["gpu"]);
    let plain = builder().serve(&flow).open().await.unwrap();
    let refused = plain.start(&flow, 7).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(format!("{refused:?}").contains("gpu"), "{refused:?}");
    let tagged = builder().serve(&flow).tags(["gpu"]).open().await.unwrap();
    assert_eq!(tagged.start(&flow, 7).await.unwrap().output().await.unwrap(), 7);
    let error = builder().tags(["gpu", ""]).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn on_one_file_a_run_waits_until_an_executor_with_its_tags_has_the_lease() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Log::default());
    let (here, there) = (train(&log, "plain", &["gpu"]), train(&log, "gpu", &["gpu"]));
    let url = format!("sqlite:{}", folder.path().join("runs.db").display());
    let first = builder().store(url.clone()).serve(&here).open().await.unwrap();
    let second = builder().store(url).tags(["gpu"]).serve(&there).open().await.unwrap();
    let (mine, theirs) = (first.start(&here, 1).await.unwrap(), second.start(&there, 2).await.unwrap());
    let waits_for = first.runs().inspect(mine.tenant(), mine.id()).await.unwrap().waits_for;
    assert_eq!(waits_for.as_deref(), Some("an executor tagged gpu: none has taken it, and this one lacks gpu"));
    let mine = second.runs().handle::<u64>(mine.tenant(), mine.id());
    first.shutdown().await.unwrap();
    assert_eq!((mine.output().await.unwrap(), theirs.output().await.unwrap()), (1, 2));
    assert_eq!((log.count("gpu"), log.count("plain")), (4, 0));
    second.shutdown().await.unwrap();
}

/// Set for a copy of this program that is to be killed: the URL of its database.
const DOOMED: &str = "FASTN_TEST_TAGS_DOOMED";
const SCHEMA: &str = "tags";
const RUNS: u64 = 20;

/// A flow whose step does not end in a place that is to be killed.
fn held(log: &Log, place: &'static str) -> Workflow<u64, u64> {
    let log = log.clone();
    let hold = move |n: u64| {
        let log = log.clone();
        async move {
            log.note(place);
            if place == "doomed" {
                writeln!(std::io::stdout(), "\nheld {n}")?;
                std::future::pending::<()>().await;
            }
            Ok::<_, StepError>(n)
        }
    };
    workflow("held").requires("gpu").define(|flow, n| flow.step("hold", hold, n)).unwrap()
}

async fn on_postgres(url: &str, flow: &Workflow<u64, u64>, tags: &[&str]) -> Engine {
    let options = PostgresOptions::default().schema(SCHEMA).connections(4);
    let store: Arc<dyn Store> = Arc::new(PostgresStore::open(url, options).await.unwrap());
    let builder = builder().store(store).lease(secs(1)).tags(tags.iter().copied()).poison_after(2);
    builder.serve(flow).open().await.unwrap()
}

/// Not a test of its own: what the copy does. Without the variable it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doomed() {
    let Ok(url) = std::env::var(DOOMED) else { return };
    let _engine = on_postgres(&url, &held(&Log::default(), "doomed"), &["gpu"]).await;
    std::future::pending::<()>().await;
}

/// Ends with its test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runs_of_a_dead_process_go_to_another_with_its_tags_past_all_that_have_not() {
    let server = PrivatePostgres::shared().unwrap();
    let url = server.url("postgres");
    let log = Log::default();
    let flow = held(&log, "plain");
    let plain = on_postgres(&url, &flow, &[]).await;
    let other = on_postgres(&url, &flow, &["eu"]).await;
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program)
        .args(["--exact", "tags::doomed", "--nocapture", "--test-threads=1"])
        .env(DOOMED, &url)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Killed)
        .unwrap();
    let mut runs = Vec::new();
    for n in 0..RUNS {
        runs.push([&plain, &other][usize::try_from(n % 2).unwrap()].start(&flow, n).await.unwrap());
    }
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let held_there = lines.filter(|line| line.starts_with("held ")).take(RUNS as usize).count();
    assert_eq!(held_there, RUNS as usize, "one executor could take them, and took them all");
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    let began = Instant::now();
    let second = on_postgres(&url, &held(&log, "second"), &["gpu"]).await;
    for (n, run) in runs.iter().enumerate() {
        assert_eq!(run.output().await.unwrap(), n as u64, "one death, and no poison for being handed around");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!((log.count("second"), log.count("plain")), (RUNS as usize, 0));
    for engine in [plain, other, second] {
        engine.shutdown().await.unwrap();
    }
}
