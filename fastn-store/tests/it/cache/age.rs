//! No answer is older than it may be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastn_store::{RunQuery, RunStatus};

use super::{LONG, behind, ended, kept, metered, patient, server, until};
use crate::support::{create, key, new_run};

const TTL: Duration = Duration::from_millis(150);

#[tokio::test]
async fn an_answer_that_reached_redis_late_is_as_old_as_the_question() {
    let (store, _) = metered();
    let server = server();
    let cache = patient(&server.url(0)).list_ttl(TTL);
    let cached = behind(&cache, &store).await;
    let count = async || cached.list(RunQuery::default()).await.unwrap().runs.len();
    // Redis answers who reads, and lets those who write wait for longer than the answer counts.
    server.command(&[b"CLIENT", b"PAUSE", b"600", b"WRITE"]).unwrap();
    assert_eq!(count().await, 0);
    create(&*store, None, new_run("t", "run", "work")).await;
    kept(&cache, 1).await;
    assert_eq!(cache.counts().hits, 0);
    assert_eq!(server.command(&[b"DBSIZE"]).unwrap().text(), "1", "nothing was kept that could be too old");
    assert_eq!(count().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_list_misses_what_was_written_longer_ago_than_a_list_may_be_old() {
    let (store, _) = metered();
    let server = server();
    let cache = patient(&server.url(0)).list_ttl(TTL);
    let cached = behind(&cache, &store).await;
    // When each run was there for sure.
    let written = Arc::new(Mutex::new(BTreeMap::new()));
    let writer = {
        let (store, written) = (store.clone(), written.clone());
        tokio::spawn(async move {
            for number in 0.. {
                let new = new_run("t", &format!("run {number}"), "work");
                create(&*store, None, new.clone()).await;
                written.lock().unwrap().insert(new.key, Instant::now());
                tokio::time::sleep(Duration::from_millis(7)).await;
            }
        })
    };
    let (began, mut old, mut pauses) = (Instant::now(), 0, 0);
    while began.elapsed() < Duration::from_secs(4) {
        // Held up now and then, as a machine is, for longer than a list may be old.
        if began.elapsed() > Duration::from_secs(1) * (pauses + 1) && pauses < 2 {
            pauses += 1;
            let process = server.process_id().unwrap();
            server.pause().unwrap();
            std::process::Command::new("sh")
                .args(["-c", &format!("sleep 0.3; kill -CONT {process}")])
                .spawn()
                .map(|mut child| std::thread::spawn(move || child.wait()))
                .unwrap();
        }
        let asked = Instant::now();
        let must = written.lock().unwrap().clone();
        let page = cached.list(RunQuery { limit: 10_000, ..RunQuery::default() }).await.unwrap();
        for (run, at) in &must {
            if !page.runs.iter().any(|found| found.key == *run) {
                let age = asked.duration_since(*at);
                assert!(age <= TTL, "{run:?} was written {age:?} before the list was asked for, and is not in it");
                old += 1;
            }
        }
    }
    writer.abort();
    let counts = cache.counts();
    assert!(counts.hits > 10 && counts.misses > 10 && old > 10, "{counts:?}; {old} were told late");
}

#[tokio::test]
async fn an_answer_from_before_the_clock_was_set_back_does_not_count() {
    let (store, meter) = metered();
    let new = ended(&*store, "t", "done", RunStatus::Succeeded).await;
    // Only Redis's clock counts, so a place that tells another time for it will do.
    let clock = super::strangers::Clock::before(server()).await;
    let cache = patient(&clock.url());
    let cached = behind(&cache, &store).await;
    let look = async || {
        meter.take();
        cached.summaries(std::slice::from_ref(&new.key)).await.unwrap();
        meter.take().reads
    };
    look().await;
    kept(&cache, 1).await;
    assert_eq!(look().await, 0);
    clock.set_by(-3_600);
    assert_eq!(look().await, 1, "it is from the future");
    kept(&cache, 2).await;
    assert_eq!(look().await, 0);
    clock.set_by(i64::try_from(LONG.as_secs()).unwrap() - 3_600 + 1);
    assert_eq!(look().await, 1, "it is too old");
}

#[tokio::test]
async fn what_is_kept_leaves_redis_by_itself() {
    let (store, _) = metered();
    ended(&*store, "t", "done", RunStatus::Succeeded).await;
    let server = server();
    let cache = patient(&server.url(0)).ttl(TTL).list_ttl(TTL);
    let cached = behind(&cache, &store).await;
    cached.summaries(&[key("t", "done")]).await.unwrap();
    cached.list(RunQuery::default()).await.unwrap();
    kept(&cache, 2).await;
    until("Redis is empty", || server.command(&[b"DBSIZE"]).unwrap().text() == "0").await;
}
