//! Redis is lost, slow, wiped, full or a copy: the answers are right, and come in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastn_store::{ReadCache, ReadThrough as _, RunQuery, RunStatus, Store};
use fastn_testkit::MeterStore;
use fastn_testkit::server::PrivateRedis;

use super::{LONG, behind, ended, metered, patient, server, until};
use crate::support::{acquire, create, key, new_run};

/// How long somebody waits for Redis here. Longer than by default, since machines that test are busy.
const WAIT: Duration = Duration::from_millis(200);

fn hasty(server: &PrivateRedis) -> ReadCache {
    ReadCache::redis(&server.url(0)).unwrap().ttl(LONG).list_ttl(LONG).histories(true).timeout(WAIT)
}

/// A store with an ended run, a run that waits, and what is told of them.
async fn scene() -> (Arc<dyn Store>, MeterStore, String) {
    let (store, meter) = metered();
    ended(&*store, "t", "done", RunStatus::Succeeded).await;
    create(&*store, None, new_run("t", "waits", "work")).await;
    let truth = look(&*store).await;
    (store, meter, truth)
}

async fn look(store: &dyn Store) -> String {
    let runs = [key("t", "done"), key("t", "waits")];
    let summaries = store.summaries(&runs).await.unwrap();
    let history = store.read(&runs[0]).await.unwrap();
    let page = store.list(RunQuery::default()).await.unwrap();
    format!("{summaries:?} {history:?} {page:?}")
}

/// Looks until all that can be kept is: what is told is right all the while.
async fn warm(cache: &ReadCache, store: &Arc<dyn Store>, meter: &MeterStore, truth: &str) {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing comes from the cache: {:?}", cache.counts());
        meter.take();
        assert_eq!(look(&**store).await, truth);
        // The run that has not ended is asked for each time.
        if meter.take().reads == 1 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_store_opens_while_redis_is_down_and_finds_it_when_it_comes() {
    let (store, meter, truth) = scene().await;
    let mut server = server();
    server.stop().unwrap();
    let cache = hasty(&server);
    let began = Instant::now();
    let cached = cache.before(store.clone()).unwrap();
    assert_eq!(look(&*cached).await, truth);
    assert!(began.elapsed() < Duration::from_secs(2), "it waited for Redis");
    until("the connection fails", || cache.counts().failures > 0).await;
    assert!(cache.counts().connected == 0 && cache.counts().passed >= 4, "{:?}", cache.counts());
    server.start_again().unwrap();
    warm(&cache, &cached, &meter, &truth).await;
    assert!(cache.counts().connected > 0);
}

#[tokio::test]
async fn a_redis_that_is_killed_is_missed_by_nobody_and_found_again() {
    let (store, meter, truth) = scene().await;
    let mut server = server();
    let cache = hasty(&server);
    let cached = behind(&cache, &store).await;
    for _ in 0..2 {
        warm(&cache, &cached, &meter, &truth).await;
        server.stop().unwrap();
        let began = Instant::now();
        for _ in 0..100 {
            assert_eq!(look(&*cached).await, truth);
        }
        assert!(began.elapsed() < Duration::from_secs(5), "100 looks took {:?}", began.elapsed());
        // Its end is noticed though nobody asks.
        until("the end is noticed", || cache.counts().connected == 0).await;
        server.start_again().unwrap();
    }
    warm(&cache, &cached, &meter, &truth).await;
}

#[tokio::test]
async fn a_redis_that_does_not_answer_costs_one_wait_and_not_one_each() {
    let (store, meter, truth) = scene().await;
    let server = server();
    let cache = hasty(&server);
    let cached = behind(&cache, &store).await;
    warm(&cache, &cached, &meter, &truth).await;
    let failures = cache.counts().failures;
    server.pause().unwrap();
    let began = Instant::now();
    // All at once, and then many one after the other.
    let looks: Vec<_> = (0..50)
        .map(|_| {
            let cached = cached.clone();
            tokio::spawn(async move { look(&*cached).await })
        })
        .collect();
    for look in looks {
        assert_eq!(look.await.unwrap(), truth);
    }
    for _ in 0..200 {
        assert_eq!(look(&*cached).await, truth);
    }
    let took = began.elapsed();
    // Each look asks three times: one after the other that would be two minutes.
    assert!(took < WAIT * 20, "250 looks took {took:?}");
    assert!(took >= WAIT, "Redis answered all the while");
    assert!(cache.counts().connected == 0);
    // Nor are there many who try it: the first failure, and one connection at a time, further and further apart.
    until("a connection is tried", || cache.counts().failures > failures + 1).await;
    let tried = cache.counts().failures - failures;
    assert!(tried <= 2 + u64::try_from(began.elapsed().as_millis() / 50).unwrap(), "{tried} in {:?}", began.elapsed());
    server.resume().unwrap();
    warm(&cache, &cached, &meter, &truth).await;
}

#[tokio::test]
async fn a_redis_that_is_wiped_is_filled_again() {
    let (store, meter, truth) = scene().await;
    let server = server();
    let cache = hasty(&server);
    let cached = behind(&cache, &store).await;
    for _ in 0..3 {
        warm(&cache, &cached, &meter, &truth).await;
        server.wipe().unwrap();
        meter.take();
        assert_eq!(look(&*cached).await, truth);
        assert_eq!(meter.take().reads, 3, "what was wiped was told all the same");
    }
    assert_eq!(cache.counts().failures, 0);
}

/// What is there comes from it still, and what is refused is counted.
async fn refuses(say: &[&[u8]], unsay: &[&[u8]]) {
    let (store, meter, truth) = scene().await;
    let server = server();
    let cache = patient(&server.url(0));
    let cached = behind(&cache, &store).await;
    warm(&cache, &cached, &meter, &truth).await;
    server.command(say).unwrap();
    ended(&*store, "t", "later", RunStatus::Failed).await;
    let later = [key("t", "later")];
    for _ in 0..2 {
        meter.take();
        assert!(cached.summaries(&later).await.unwrap()[0].is_some());
        assert_eq!(meter.take().reads, 1);
    }
    until("it was refused", || cache.counts().dropped >= 2).await;
    assert!(cached.read(&key("t", "done")).await.unwrap().is_some());
    assert_eq!(meter.take().reads, 0, "what was kept before is no longer told");
    assert!(cache.counts().connected > 0 && cache.counts().failures == 0, "{:?}", cache.counts());
    server.command(unsay).unwrap();
    let began = Instant::now();
    while cached.summaries(&later).await.unwrap()[0].is_some() && meter.take().reads > 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "nothing is kept again: {:?}", cache.counts());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_full_redis_tells_what_it_has() {
    refuses(&[b"CONFIG", b"SET", b"maxmemory", b"1"], &[b"CONFIG", b"SET", b"maxmemory", b"0"]).await;
}

#[tokio::test]
async fn a_redis_that_is_only_read_tells_what_it_has() {
    // A copy of one that is not there.
    refuses(&[b"REPLICAOF", b"127.0.0.1", b"1"], &[b"REPLICAOF", b"NO", b"ONE"]).await;
}

#[tokio::test]
async fn a_redis_that_begins_to_refuse_reads_is_passed_by() {
    let (store, meter, truth) = scene().await;
    let server = server();
    let cache = hasty(&server);
    let cached = behind(&cache, &store).await;
    warm(&cache, &cached, &meter, &truth).await;
    let name = &b"default"[..];
    server.command(&[b"ACL", b"SETUSER", name, b"-mget"]).unwrap();
    let failures = cache.counts().failures;
    for _ in 0..20 {
        assert_eq!(look(&*cached).await, truth);
    }
    assert!(cache.counts().failures > failures);
    server.command(&[b"ACL", b"SETUSER", name, b"+mget"]).unwrap();
    warm(&cache, &cached, &meter, &truth).await;
}

#[tokio::test]
async fn answers_that_are_too_long_are_not_kept_and_delay_nobody() {
    let (store, meter) = metered();
    let lease = acquire(&*store, "writer", 1).await.unwrap();
    let mut new = new_run("t", "long", "work");
    new.input = fastn_core::Payload::json(format!("\"{}\"", "x".repeat(300 << 10)));
    let run = new.key.clone();
    let no = create(&*store, Some(&lease), new).await;
    super::end(&*store, &lease, no, RunStatus::Succeeded).await;
    let server = server();
    let cache = patient(&server.url(0));
    let cached = behind(&cache, &store).await;
    meter.take();
    for _ in 0..2 {
        assert_eq!(cached.read(&run).await.unwrap().unwrap().records.len(), 2);
    }
    assert_eq!((meter.take().reads, cache.counts().dropped, cache.counts().kept), (2, 2, 0));
}
