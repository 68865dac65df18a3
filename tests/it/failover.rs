//! A URL with two servers, of which one stands by: when the first is gone, the second is gone over to.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastn::core::Event;
use fastn::prelude::*;
use fastn_testkit::server::{PostgresSettings, PrivatePostgres};
use tokio::sync::Semaphore;

use crate::killed::histories;
use crate::world::{Log, Res, builder, noted};

/// How many runs are under way.
const RUNS: u64 = 30;

/// The user and the password, and the place, in the URL of a database.
fn parts(url: &str) -> (&str, &str) {
    let (who, place) = url.split_once("://").unwrap().1.split_once('@').unwrap();
    (who, place.split_once('/').unwrap().0)
}

/// Takes some runs to the middle, and some of these to their end; then the first server is gone, and the second, which has heard of
/// nothing since the middle if it is `deaf`, takes writes.
async fn check(deaf: bool) {
    let mut settings = PostgresSettings::default().fsync(false);
    if deaf {
        settings = settings.set("synchronous_standby_names", "");
    }
    let (mut first, second) = PrivatePostgres::start_with_standby(&settings).unwrap();
    let urls = [first.database("failover").unwrap(), second.url("failover")];
    let ((who, first_place), (_, second_place)) = (parts(&urls[0]), parts(&urls[1]));
    // Whichever is named first; and of several the one is meant that takes writes.
    let urls = [
        format!("postgres://{who}@{first_place},{second_place}/failover?target_session_attrs=read-write"),
        format!("postgres://{who}@{second_place},{first_place}/failover"),
    ];
    let (log, open) = (Log::default(), Arc::new(Semaphore::new(0)));
    let (note, gate) = (log.clone(), open.clone());
    let slow = move |n: u64| {
        let (note, gate) = (note.clone(), gate.clone());
        async move {
            note.note("slow");
            // Closed is open.
            if let Ok(permit) = gate.acquire().await {
                permit.forget();
            }
            Res::Ok(n)
        }
    };
    let flow = workflow("failover")
        .define(|flow, n| {
            let first = flow.step("first", noted(&log, "first"), n);
            let slow = flow.step("slow", slow, first);
            flow.step("last", noted(&log, "last"), slow)
        })
        .unwrap();
    let mut engines = Vec::new();
    for url in &urls {
        engines.push(builder().store(url.as_str()).lease(secs(2)).serve(&flow).open().await.unwrap());
    }
    let mut waiting = Vec::new();
    for n in 0..RUNS {
        let run = engines[usize::from(n % 2 == 0)].start(&flow, n).await.unwrap();
        waiting.push(tokio::spawn(async move { (n, run.output().await) }));
    }
    let began = Instant::now();
    while log.count("slow") < RUNS as usize {
        assert!(began.elapsed() < Duration::from_secs(30), "the steps begin");
        tokio::task::yield_now().await;
    }

    if deaf {
        // What was streamed until here is on the other side; what comes now is not.
        let written = first.sql("postgres", "SELECT pg_current_wal_lsn()").unwrap();
        let heard = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
        while second.sql("postgres", &heard).unwrap() != "t" {
            assert!(began.elapsed() < Duration::from_secs(60), "it follows");
        }
        let sender = first.sql("postgres", "SELECT pid FROM pg_stat_replication").unwrap();
        assert!(Command::new("kill").args(["-STOP", &sender]).status().unwrap().success());
        open.add_permits(RUNS as usize / 2);
        while log.count("last") < RUNS as usize / 2 {
            assert!(began.elapsed() < Duration::from_secs(60), "some go on");
            tokio::task::yield_now().await;
        }
        assert_eq!(log.count("last"), RUNS as usize / 2);
    }
    first.crash().unwrap();
    open.close();
    second.promote().unwrap();
    for run in waiting {
        let (n, output) = tokio::time::timeout(Duration::from_secs(60), run).await.expect("they go on").unwrap();
        assert_eq!(output.unwrap(), n);
    }
    assert_eq!(log.count("first"), RUNS as usize, "nothing that was recorded was done again");
    for (engine, n) in engines.iter().zip(RUNS..) {
        assert_eq!(engine.start(&flow, n).await.unwrap().output().await.unwrap(), n);
    }
    let again = if deaf { RUNS as usize / 2 } else { 0 };
    while log.count("last") < RUNS as usize + engines.len() + again {
        assert!(began.elapsed() < Duration::from_secs(120), "what is there no more is done again");
        tokio::task::yield_now().await;
    }
    for engine in engines {
        engine.shutdown().await.unwrap();
    }
    let url = second.url("failover");
    let runs = tokio::task::spawn_blocking(move || histories(&url)).await.unwrap();
    assert_eq!(runs.len() as u64, RUNS + 2);
    for run in runs {
        let ends = run.records.iter().filter(|record| matches!(record.event, Event::Finished { .. })).count();
        let steps = run.records.iter().filter(|record| matches!(record.event, Event::Succeeded { .. })).count();
        assert_eq!((ends, steps), (1, 3), "run {}", run.run.key.run);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_with_two_servers_goes_over_to_the_second_when_the_first_is_gone() {
    check(false).await;
}

/// Where commits do not wait for the second server, what it has not heard of is lost with the first. Whoever was told otherwise
/// takes nothing of it for granted: the runs go on from what is there, and none is damaged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_go_on_from_what_the_second_server_has_heard_of() {
    check(true).await;
}
