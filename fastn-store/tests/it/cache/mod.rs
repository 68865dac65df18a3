//! What the cache of reads promises beyond what every store does.

mod age;
mod differential;
mod outages;
mod own_writes;
mod reads;
mod strangers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastn_store::{MemoryStore, NewRun, ReadCache, ReadThrough as _, RunNo, RunStatus, Store, Then};
use fastn_testkit::MeterStore;
use fastn_testkit::server::PrivateRedis;

use crate::support::{acquire, commit, create, new_run, turn};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(600);

/// A cache that keeps all it can for a long time, and waits for answers however busy the machine is.
fn patient(url: &str) -> ReadCache {
    ReadCache::redis(url).unwrap().ttl(LONG).list_ttl(LONG).histories(true).timeout(Duration::from_secs(20))
}

/// A store, and what it was asked.
fn metered() -> (Arc<dyn Store>, MeterStore) {
    let meter = MeterStore::new(Arc::new(MemoryStore::new()));
    (Arc::new(meter.clone()), meter)
}

/// The store behind the cache, when Redis answers.
async fn behind(cache: &ReadCache, store: &Arc<dyn Store>) -> Arc<dyn Store> {
    let others = cache.counts().connected;
    let cached = cache.before(store.clone()).unwrap();
    until("Redis answers", || cache.counts().connected > others).await;
    cached
}

/// Looks again and again, since what is waited for is told to nobody.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never came about that {what}");
        tokio::task::yield_now().await;
    }
}

/// Waits until so many answers are in Redis.
async fn kept(cache: &ReadCache, count: u64) {
    until("answers are kept", || cache.counts().kept >= count).await;
}

/// A run that has ended so, written past every cache.
async fn ended(store: &dyn Store, tenant: &str, name: &str, status: RunStatus) -> NewRun {
    let lease = acquire(store, "writer", 1).await.unwrap();
    let new = new_run(tenant, name, "work");
    let no = create(store, Some(&lease), new.clone()).await;
    end(store, &lease, no, status).await;
    store.release(&lease).await.unwrap();
    new
}

async fn end(store: &dyn Store, lease: &fastn_store::Lease, no: RunNo, status: RunStatus) {
    commit(store, lease, vec![turn(no, 0, 2, Then::End(status))]).await.unwrap();
}

fn server() -> PrivateRedis {
    PrivateRedis::start().unwrap()
}
