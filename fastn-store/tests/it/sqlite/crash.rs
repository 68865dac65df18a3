//! Death in the middle of commits.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use fastn_core::ErrorKind;
use fastn_store::{Store, Then};

use super::{open, open_tiny};
use crate::support::{acquire, claim, commit, create, fails, key, new_run, record, turn};

/// Tells a process that it is the one to be killed, and which database it is to write to.
const VICTIM: &str = "FASTN_STORE_TEST_VICTIM";
const RUNS: u64 = 3;

/// This test starts itself once more as the process that is killed.
#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost_when_the_process_is_killed() {
    if let Some(path) = std::env::var_os(VICTIM) {
        return write_until_killed(Path::new(&path)).await;
    }
    for acknowledged_at_least in [1, 10, 200] {
        let folder = tempfile::tempdir().unwrap();
        check_killed_after(&folder.path().join("runs.db"), acknowledged_at_least).await;
    }
}

async fn write_until_killed(path: &Path) {
    let store = open_tiny(path).await;
    let lease = acquire(&store, "victim", 0).await.unwrap();
    let mut runs = Vec::new();
    for n in 0..RUNS {
        runs.push(create(&store, Some(&lease), new_run("t", &n.to_string(), "w")).await);
    }
    for next in 0.. {
        commit(&store, &lease, runs.iter().map(|no| turn(*no, next, 1, Then::Run)).collect()).await.unwrap();
        println!("\nacknowledged {next}");
    }
}

async fn check_killed_after(path: &Path, at_least: usize) {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            "sqlite::crash::nothing_that_was_acknowledged_is_lost_when_the_process_is_killed",
        ])
        .env(VICTIM, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let mut acknowledged = lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<u64>().ok());
    let seen = acknowledged.by_ref().take(at_least).last().expect("the victim commits");

    let beside = open(path).await;
    let said = fails(acquire(&beside, "heir", 0).await, ErrorKind::Locked);
    assert!(said.contains(&format!("victim (process {})", victim.id())), "{said}");
    assert!(beside.read(&key("t", "0")).await.unwrap().unwrap().records.len() as u64 > seen);
    drop(beside);

    victim.kill().unwrap();
    victim.wait().unwrap();
    let last = acknowledged.last().unwrap_or(seen);

    let store = open(path).await;
    let lease = acquire(&store, "heir", 0).await.unwrap();
    let claimed = claim(&store, &lease, 0, &["w"], 9).await.unwrap();
    assert_eq!(claimed.len() as u64, RUNS);
    let mut lengths = Vec::new();
    for (n, no) in claimed.iter().enumerate() {
        let records = store.read(&key("t", &n.to_string())).await.unwrap().unwrap().records;
        let length = records.len() as u64;
        assert!(length > last, "{last} was acknowledged, there are {length} records");
        assert_eq!(records, (0..length).map(record).collect::<Vec<_>>());
        commit(&store, &lease, vec![turn(*no, length, 1, Then::Run)]).await.unwrap();
        lengths.push(length);
    }
    assert!(lengths.iter().all(|length| *length == lengths[0]), "a commit is whole or not at all: {lengths:?}");
}
