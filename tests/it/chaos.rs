//! Fifty executors on one PostgreSQL, all of which is treated badly: processes are killed, and stopped for longer than their
//! leases, connections are cut, also in the middle of commits, the server itself is restarted, and where a disk can be mounted
//! there is no room on it for a while. Every run ends once, and what may be done once is.
//!
//! `FASTN_CHAOS_SECONDS` says for how long; for less than half a minute unless set.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fastn::core::Event;
use fastn_testkit::server::{Cut, PostgresSettings, PrivatePostgres, Proxy};

use crate::disk_full::Disk;
use crate::killed::{Lives, histories, log_of};
use crate::world::seconds;

/// How many processes there are at a time, and how many executors are in each.
const PROCESSES: usize = 5;
const EXECUTORS: usize = 10;

/// More than a statement beside commits, less than a commit with a turn in it.
const LONG: u64 = 400;

/// A process, and who listens to it.
struct Executor {
    child: Child,
    listener: JoinHandle<()>,
}

impl Executor {
    fn begin(lives: &mut Lives, said: &Sender<String>) -> Self {
        let mut child = lives.begin(EXECUTORS);
        lives.life += 1;
        let (lines, said) = (BufReader::new(child.stdout.take().unwrap()).lines(), said.clone());
        let listener = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(run) = line.strip_prefix("started ") {
                    said.send(run.to_owned()).unwrap();
                }
            }
        });
        Self { child, listener }
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        assert!(Command::new("/bin/kill").args([name, &process]).status().unwrap().success());
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.listener.join().unwrap();
    }
}

/// Chance, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A server, on a disk of its own if there can be one.
struct Server {
    postgres: PrivatePostgres,
    disk: Option<Disk>,
}

impl Server {
    fn start() -> Self {
        let disk = Disk::mount(1_000);
        let settings = PostgresSettings::default().fsync(false).max_connections(500).set("max_wal_size", "128MB");
        let settings = if let Some(disk) = &disk { settings.folder(disk.folder.path()) } else { settings };
        Self { postgres: PrivatePostgres::start_with(&settings).unwrap(), disk }
    }

    fn cut(&self) {
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = 'chaos' AND pid <> pg_backend_pid() AND random() < 0.5";
        self.postgres.sql("chaos", cut).unwrap();
    }

    /// There is no room for a while; then it is started again, since it may have stopped for good.
    fn fill(&mut self) -> bool {
        let Some(disk) = &self.disk else { return false };
        disk.fill();
        std::thread::sleep(Duration::from_millis(400));
        disk.relieve();
        self.postgres.restart().unwrap();
        true
    }
}

/// Cuts so many connections in the middle of commits: some before the server has heard of them, some after.
fn cut_commits(proxy: &Proxy, dice: &mut Dice, count: u64) {
    let (until, began) = (proxy.cuts() + count, Instant::now());
    while proxy.cuts() < until && began.elapsed() < Duration::from_secs(2) {
        let seen = proxy.cuts();
        proxy.cut(if dice.below(3) == 0 { Cut::Request } else { Cut::Answer }, LONG);
        while proxy.cuts() == seen && began.elapsed() < Duration::from_secs(2) {
            std::thread::yield_now();
        }
    }
}

#[test]
fn whatever_is_done_to_executors_and_their_server_every_run_ends_once() {
    let seconds = seconds("FASTN_CHAOS_SECONDS", 24);
    let mut server = Server::start();
    let url = server.postgres.database("chaos").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (before, behind) = url.split_once("127.0.0.1:").unwrap();
    let (port, database) = behind.split_once('/').unwrap();
    let proxy = runtime.block_on(Proxy::before(port.parse().unwrap())).unwrap();
    let by_proxy = format!("{before}{}/{database}?sslmode=disable", proxy.address());
    let mut lives = Lives::new(|_| by_proxy);
    let (said, heard) = channel();
    let mut executors: Vec<Executor> = (0..PROCESSES).map(|_| Executor::begin(&mut lives, &said)).collect();
    // Nothing bad before something good: the first runs have been started.
    let first = heard.recv_timeout(Duration::from_secs(60)).unwrap();
    lives.acknowledged.insert(first);

    let kinds = if server.disk.is_some() { 6 } else { 5 };
    let (mut dice, mut done, began) = (Dice(7), BTreeMap::<&str, usize>::new(), Instant::now());
    while began.elapsed() < Duration::from_secs(seconds) || done.len() < kinds {
        let place = usize::try_from(dice.below(PROCESSES as u64)).unwrap();
        let deed = match dice.below(12) {
            0..3 => {
                executors.swap_remove(place).kill();
                executors.push(Executor::begin(&mut lives, &said));
                "killed"
            }
            3..5 => {
                // For longer than its lease lasts: the others take what it has.
                executors[place].signal("-STOP");
                std::thread::sleep(Duration::from_millis(1_200 + dice.below(1_000)));
                executors[place].signal("-CONT");
                "stopped and continued"
            }
            5..7 => {
                server.cut();
                "connections cut"
            }
            7..9 => {
                cut_commits(&proxy, &mut dice, 20);
                "commits cut"
            }
            9..11 => {
                server.postgres.restart().unwrap();
                "server restarted"
            }
            _ if server.fill() => "disk filled",
            _ => continue,
        };
        *done.entry(deed).or_default() += 1;
        std::thread::sleep(Duration::from_millis(dice.below(700)));
        lives.acknowledged.extend(heard.try_iter());
    }
    executors.into_iter().for_each(Executor::kill);
    lives.acknowledged.extend(heard.try_iter());
    finish(&mut lives, &heard);
    println!("{done:?}, {} commits cut, {} runs", proxy.cuts(), lives.acknowledged.len());
    assert!(proxy.cuts() > 20, "{} commits cut", proxy.cuts());
}

/// Lets a last executor bring everything to its end, and looks at what came of it.
fn finish(lives: &mut Lives, heard: &Receiver<String>) {
    let mut last = lives.begin(0);
    let lines = BufReader::new(last.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.into_iter().any(|line| line == "finished"), "the last executor brings all to an end");
    last.wait().unwrap();
    lives.acknowledged.extend(heard.try_iter());

    let runs = histories(lives.url());
    let known: BTreeSet<String> = runs.iter().map(|run| run.run.key.run.to_string()).collect();
    assert!(lives.acknowledged.is_subset(&known), "a run that was acknowledged is gone");
    for run in &runs {
        assert!(run.outcome().is_some(), "run {} has not ended", run.run.key.run);
        let mut recorded = BTreeSet::new();
        for record in &run.records {
            if let Event::Succeeded { at, part, .. } = &record.event {
                assert!(
                    recorded.insert((at.clone(), part.as_str())),
                    "something of run {} is recorded twice",
                    run.run.key.run
                );
            }
        }
        let ends = run.records.iter().filter(|record| matches!(record.event, Event::Finished { .. })).count();
        assert_eq!(ends, 1, "run {} has ended once", run.run.key.run);
    }
    let mut charges = BTreeMap::<String, usize>::new();
    for life in 0..=lives.life {
        let log = std::fs::read_to_string(log_of(lives.folder(), &life.to_string())).unwrap_or_default();
        for line in log.lines().filter(|line| line.contains("\tcharge\t")) {
            *charges.entry(line.to_owned()).or_default() += 1;
        }
    }
    assert!(!charges.is_empty());
    let twice: Vec<_> = charges.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "charged more than once: {twice:?}");
}
