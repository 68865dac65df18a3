//! Several executors on one PostgreSQL, all of which is treated badly: processes are killed, and stopped for longer than their
//! leases, connections are cut, the server itself is restarted. Every run ends once, and what may be done once is.
//!
//! `FASTN_CHAOS_SECONDS` says for how long; a few seconds unless set.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fastn::core::Event;
use fastn_testkit::server::{PostgresSettings, PrivatePostgres};

use crate::killed::{Lives, histories, log_of};
use crate::world::seconds;

/// How many executors there are at a time.
const EXECUTORS: usize = 3;

/// An executor, and who listens to it.
struct Executor {
    child: Child,
    listener: JoinHandle<()>,
}

impl Executor {
    fn begin(lives: &mut Lives, said: &Sender<String>) -> Self {
        let mut child = lives.begin(false);
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

#[test]
fn whatever_is_done_to_executors_and_their_server_every_run_ends_once() {
    let seconds = seconds("FASTN_CHAOS_SECONDS", 8);
    let mut server = PrivatePostgres::start_with(&PostgresSettings::default().fsync(false)).unwrap();
    let url = server.database("chaos").unwrap();
    let mut lives = Lives::new(|_| url.clone());
    let (said, heard) = channel();
    let mut executors: Vec<Executor> = (0..EXECUTORS).map(|_| Executor::begin(&mut lives, &said)).collect();
    // Nothing bad before something good: the first runs have been started.
    let first = heard.recv_timeout(Duration::from_secs(60)).unwrap();
    lives.acknowledged.insert(first);

    let (mut dice, mut done, began) = (Dice(7), BTreeMap::<&str, usize>::new(), Instant::now());
    while began.elapsed() < Duration::from_secs(seconds) || done.len() < 4 {
        let place = usize::try_from(dice.below(EXECUTORS as u64)).unwrap();
        let deed = match dice.below(8) {
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
                let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = 'chaos' AND pid <> pg_backend_pid() AND random() < 0.5";
                server.sql("chaos", cut).unwrap();
                "connections cut"
            }
            _ => {
                server.restart().unwrap();
                "server restarted"
            }
        };
        *done.entry(deed).or_default() += 1;
        std::thread::sleep(Duration::from_millis(dice.below(700)));
        lives.acknowledged.extend(heard.try_iter());
    }
    executors.into_iter().for_each(Executor::kill);
    lives.acknowledged.extend(heard.try_iter());
    finish(&mut lives, &heard);
    println!("{done:?}, {} runs", lives.acknowledged.len());
}

/// Lets a last executor bring everything to its end, and looks at what came of it.
fn finish(lives: &mut Lives, heard: &Receiver<String>) {
    let mut last = lives.begin(true);
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
