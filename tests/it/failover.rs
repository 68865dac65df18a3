//! A URL with two servers, of which one stands by: when the first is gone, the second is gone over to.

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_with_two_servers_goes_over_to_the_second_when_the_first_is_gone() {
    let settings = PostgresSettings::default().fsync(false);
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
            let _ = gate.acquire().await;
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
