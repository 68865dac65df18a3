//! A process under load that is killed at any moment, again and again: what was acknowledged is there, what was recorded is
//! never done again, and what may be done once is done once at most.
//!
//! `FASTN_KILL_SECONDS` says for how long; a few seconds unless set.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastn::core::{Event, Part};
use fastn::prelude::*;
use fastn::store::{History, PostgresOptions, PostgresStore, Store};
use fastn_testkit::server::PrivatePostgres;
use tokio::task::JoinSet;

use crate::world::{Res, builder, seconds};

/// Set for a copy of this program that is to be killed: its folder, the number of its life, how many engines it has, which is
/// none if it is to be the last, and its store.
const VICTIM: &str = "FASTN_TEST_KILLED";

/// How many runs each engine has at a time.
const AT_ONCE: usize = 32;

/// How long the copies' leases last: on Postgres one that was killed is waited for.
const LEASE: Duration = Duration::from_millis(900);

/// One function of one instance of one node of one run.
type Deed = (String, String, String);

/// Notes that it is done, then passes its value on; fails for every fifth order if it is told to.
fn noting(
    log: &Arc<PathBuf>,
    fails: bool,
) -> impl Fn(StepCx, u64) -> crate::world::StepFuture + Clone + Send + Sync + 'static {
    let log = log.clone();
    move |cx, n| {
        let log = log.clone();
        Box::pin(async move {
            let info = cx.info();
            let line = format!("{}\t{}\t{}\n", info.run, info.node, info.part.as_str());
            std::fs::OpenOptions::new().append(true).create(true).open(&*log)?.write_all(line.as_bytes())?;
            if fails && n % 5 == 0 { Err(StepError::permanent("out of stock")) } else { Ok(n) }
        })
    }
}

/// What every order waits for.
const GO: Signal<u64> = Signal::new("go");
const PARCEL: Child<u64, u64> = Child::new("parcel");

/// What orders run: something to undo, and a rest.
fn parcel(log: &Arc<PathBuf>) -> Workflow<u64, u64> {
    let undo = noting(log, false);
    let undo = move |cx: StepCx, n: u64| {
        let undo = undo.clone();
        async move { undo(cx, n).await.map(drop) }
    };
    workflow("parcel")
        .define(|flow, n| {
            let packed = flow.step("wrap", noting(log, false).undo(undo), n);
            let rested = flow.sleep("rest", millis(3), packed);
            flow.step("hand over", noting(log, false), rested)
        })
        .unwrap()
}

/// An order: something to undo, items, something that happens at most once, something that it waits for, a rest, another run,
/// and for some a failure at the end.
fn order(log: &Arc<PathBuf>) -> Workflow<u64, u64> {
    let undo = noting(log, false);
    let undo = move |cx: StepCx, n: u64| {
        let undo = undo.clone();
        async move { undo(cx, n).await.map(drop) }
    };
    let unknown = |_: Failure, n: u64| async move { Res::Ok(n) };
    let lines = |n: u64| async move { Res::Ok(vec![n; 6]) };
    let count = |n: u64, lines: Vec<u64>| async move { Res::Ok(if lines.len() == 6 { n } else { 0 }) };
    workflow("order")
        .define(|flow, n| {
            let held = flow.step("reserve", noting(log, false).undo(undo), n);
            let list = flow.step("lines", lines, held);
            let done = flow.each("each", list.at_most(3), |flow, line| {
                let label = flow.step("label", noting(log, false), line);
                flow.step("pack", noting(log, false), label)
            });
            let counted = flow.step("count", count, (held, done));
            let charge = noting(log, false).durability(Durability::AtMostOnce).on_error(unknown);
            let charged = flow.step("charge", charge, counted);
            let rested = flow.sleep("rest", millis(3), charged);
            let told = flow.wait("told", GO, rested);
            let parcel = flow.run("parcel", PARCEL, told);
            flow.step("ship", noting(log, true), parcel)
        })
        .unwrap()
}

/// What a copy of several engines keeps each of them to, so that a server has room for all.
async fn store(url: &str, engines: usize) -> Arc<dyn Store> {
    if engines < 2 {
        return fastn::store::open(url).await.unwrap();
    }
    Arc::new(PostgresStore::open(url, PostgresOptions::default().connections(2)).await.unwrap())
}

/// Not a test of its own: what the killed copy does. Without the variable it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Ok(told) = std::env::var(VICTIM) else { return };
    let mut told = told.split('|');
    let (folder, life) = (told.next().unwrap(), told.next().unwrap());
    let (engines, url): (usize, _) = (told.next().unwrap().parse().unwrap(), told.next().unwrap());
    let log = Arc::new(log_of(Path::new(folder), life));
    let flow = order(&log);
    let open = async |store: Arc<dyn Store>| {
        // It is killed whatever its runs do.
        let builder = builder().store(store).park_after(millis(1)).lease(LEASE).poison_after(0).patience(secs(60));
        builder.serve(&flow).serve(&parcel(&log)).open().await.unwrap()
    };
    if engines == 0 {
        let engine = open(store(url, 1).await).await;
        let query = RunQuery { status: unfinished(), limit: 10_000, ..RunQuery::default() };
        for run in engine.runs().list(query).await.unwrap().runs {
            let order = run.definition.workflow == *flow.plan().name();
            let run = engine.runs().handle::<u64>(&run.key.tenant, run.key.run);
            if order {
                // Whoever started it may have died before it said so.
                run.signal(GO, &7).id("go").await.unwrap();
            }
            run.outcome().await.unwrap();
        }
        println!("\nfinished");
        return engine.shutdown().await.unwrap();
    }
    let mut all = JoinSet::new();
    for _ in 0..engines {
        let engine = open(store(url, engines).await).await;
        all.spawn(drive(engine, flow.clone(), if engines > 1 { AT_ONCE / 4 } else { AT_ONCE }));
    }
    while let Some(driven) = all.join_next().await {
        driven.unwrap();
    }
}

/// Starts run after run, so many at a time, and says which.
#[allow(clippy::print_stdout, reason = "its parent listens")]
async fn drive(engine: Engine, flow: Workflow<u64, u64>, most: usize) {
    let mut at_once = JoinSet::new();
    for n in 0.. {
        let (engine, flow) = (engine.clone(), flow.clone());
        at_once.spawn(async move {
            let run = engine.start(&flow, n).await.unwrap();
            // From here on the parent relies on the run.
            println!("\nstarted {}", run.id());
            run.signal(GO, &n).id("go").await.unwrap();
            run.outcome().await.unwrap();
        });
        if at_once.len() == most {
            at_once.join_next().await.unwrap().unwrap();
        }
    }
}

pub(crate) fn log_of(folder: &Path, life: &str) -> PathBuf {
    folder.join(format!("log {life}"))
}

fn unfinished() -> Vec<RunStatus> {
    RunStatus::ALL.iter().copied().filter(|status| !status.is_final()).collect()
}

pub(crate) struct Lives {
    folder: tempfile::TempDir,
    url: String,
    /// The number of the life that is, or is to be.
    pub(crate) life: usize,
    pub(crate) acknowledged: BTreeSet<String>,
    /// What is done according to the store.
    recorded: BTreeSet<Deed>,
    /// How often each was done.
    done: BTreeMap<Deed, usize>,
}

impl Lives {
    /// Nothing has lived yet. `url` is told the folder.
    pub(crate) fn new(url: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (url, none) = (url(folder.path()), BTreeSet::new());
        Self { folder, url, life: 0, acknowledged: none, recorded: BTreeSet::new(), done: BTreeMap::new() }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A copy of this program that lives as this life, with so many engines; with none it is the last.
    pub(crate) fn begin(&self, engines: usize) -> Process {
        let told = format!("{}|{}|{engines}|{}", self.folder.path().display(), self.life, self.url);
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::victim", "--nocapture", "--test-threads=1"])
            .env(VICTIM, told)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Lets a copy live until it has started so many runs, or to its end.
    fn live(&mut self, starts: Option<usize>) {
        let mut child = self.begin(usize::from(starts.is_some()));
        let (mut seen, mut finished) = (0, false);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            finished |= line == "finished";
            if let Some(run) = line.strip_prefix("started ") {
                self.acknowledged.insert(run.to_owned());
                seen += 1;
            }
            if starts == Some(seen) {
                child.kill().unwrap();
                break;
            }
        }
        child.wait().unwrap();
        assert!(finished || starts == Some(seen), "life {} ended by itself", self.life);
        self.judge();
        self.life += 1;
    }

    /// Holds what was done in this life against what was recorded before it.
    fn judge(&mut self) {
        let log = std::fs::read_to_string(log_of(self.folder.path(), &self.life.to_string())).unwrap_or_default();
        let mut of_this_life = BTreeSet::new();
        for line in log.lines() {
            let mut parts = line.split('\t').map(str::to_owned);
            let deed = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
            assert!(!self.recorded.contains(&deed), "{deed:?} was recorded and was done again in life {}", self.life);
            assert!(of_this_life.insert(deed.clone()), "{deed:?} was done twice in life {}", self.life);
            *self.done.entry(deed).or_default() += 1;
        }
    }

    /// Reads what is recorded; gives the runs that have not ended.
    fn look(&mut self) -> usize {
        let runs = histories(&self.url);
        let plans = [order(&Arc::default()).plan().clone(), parcel(&Arc::default()).plan().clone()];
        let known: BTreeSet<String> = runs.iter().map(|run| run.run.key.run.to_string()).collect();
        assert!(self.acknowledged.is_subset(&known), "a run that was acknowledged is gone");
        for History { run, records, .. } in &runs {
            let plan = plans.iter().find(|plan| *plan.name() == run.definition.workflow).unwrap();
            for record in records {
                if let Event::Succeeded { at, part, .. } = &record.event {
                    let deed = (run.key.run.to_string(), plan.path_at(at), part.as_str().to_owned());
                    let notes = !["lines", "count", "parcel"].contains(&deed.1.as_str()) && *part != Part::OnError;
                    assert!(!notes || self.done.contains_key(&deed), "{deed:?} is recorded and was never done");
                    self.recorded.insert(deed);
                }
            }
        }
        runs.iter().filter(|run| run.outcome().is_none()).count()
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn histories(url: &str) -> Vec<History> {
    let store = fastn::store::open(url).await.unwrap();
    let (mut histories, mut query) = (Vec::new(), RunQuery { limit: 500, ..RunQuery::default() });
    loop {
        let page = store.list(query.clone()).await.unwrap();
        for run in &page.runs {
            histories.push(store.read(&run.key).await.unwrap().unwrap());
        }
        query.before = page.next;
        if page.next.is_none() {
            store.close().await.unwrap();
            return histories;
        }
    }
}

#[test]
fn killed_under_load_again_and_again_nothing_is_lost_and_nothing_recorded_is_done_again() {
    check(Lives::new(|folder| format!("sqlite:{}/runs.db", folder.display())));
}

#[test]
fn killed_under_load_on_postgres_nothing_is_lost_and_nothing_recorded_is_done_again() {
    let url = PrivatePostgres::shared().unwrap().database("killed").unwrap();
    check(Lives::new(|_| url));
}

#[allow(clippy::print_stdout, reason = "a long run tells how much it was")]
fn check(mut lives: Lives) {
    let seconds = seconds("FASTN_KILL_SECONDS", 4);
    let (began, mut seed) = (Instant::now(), 1_u64);
    while began.elapsed() < Duration::from_secs(seconds) || lives.life < 3 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        lives.live(Some(1 + usize::try_from(seed >> 57).unwrap()));
        lives.look();
    }
    let kills = lives.life;
    lives.live(None);
    assert_eq!(lives.look(), 0, "every run has ended");
    let again: usize = lives.done.values().map(|times| times - 1).sum();
    println!("{kills} kills, {} runs, {} deeds, {again} done again", lives.acknowledged.len(), lives.done.len());
    for ((run, node, part), times) in &lives.done {
        assert!(*times == 1 || node != "charge", "{node} of {run} was done {times} times");
        // Whatever was reserved is undone or shipped.
        let deed = |node: &str, part: &str| lives.recorded.contains(&(run.clone(), node.to_owned(), part.to_owned()));
        if node == "wrap" && part == "work" {
            // Nobody cancels it, and nothing of it fails.
            assert!(deed("hand over", "work") && !deed("wrap", "undo"), "parcel {run} is not handed over");
        }
        if node == "reserve" && part == "work" {
            assert!(deed("ship", "work") != deed("reserve", "undo"), "run {run} is neither done nor undone");
        }
    }
}
