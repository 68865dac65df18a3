//! What comes from the cache, and what never does.

use fastn_core::{EntryKind, EntryName, TenantId};
use fastn_store::{EntryKey, Expect, Put, ReadCache, RunQuery, RunStatus, Scan, Store};
use fastn_testkit::server::PrivateRedis;

use super::{LONG, behind, ended, kept, metered, patient};
use crate::support::{acquire, create, key, new_run};

/// Everything that hosts look at.
async fn look(store: &dyn Store, name: &str) -> String {
    let new = new_run("t", name, "work");
    let summaries = store.summaries(std::slice::from_ref(&new.key)).await.unwrap();
    let history = store.read(&new.key).await.unwrap();
    let plan = store.plan(&new.key.tenant, &new.definition).await.unwrap();
    let page = store.list(RunQuery::default()).await.unwrap();
    format!("{summaries:?} {history:?} {plan:?} {page:?}")
}

#[tokio::test]
async fn what_was_answered_once_is_answered_without_the_store_in_every_process() {
    let (store, meter) = metered();
    ended(&*store, "t", "done", RunStatus::Succeeded).await;
    let truth = look(&*store, "done").await;
    let url = PrivateRedis::shared().unwrap().url(0);
    let (here, there) = (patient(&url), patient(&url));
    let (one, other) = (behind(&here, &store).await, behind(&there, &store).await);

    assert_eq!(look(&*one, "done").await, truth);
    kept(&here, 4).await;
    // The first look of a process finds out whose answers these are.
    let _ = other.summaries(&[key("t", "done")]).await.unwrap();
    meter.take();
    for store in [&one, &other] {
        assert_eq!(look(&**store, "done").await, truth);
    }
    assert_eq!(meter.take(), Default::default(), "the store was asked");
    let counts = there.counts();
    assert_eq!((counts.hits, counts.misses, counts.unreadable, counts.failures), (5, 0, 0, 0), "{counts:?}");
}

#[tokio::test]
async fn a_run_that_has_not_ended_and_one_that_is_not_there_come_from_the_store_each_time() {
    let (store, meter) = metered();
    create(&*store, None, new_run("t", "waits", "work")).await;
    let cache = patient(&PrivateRedis::shared().unwrap().url(0)).list_ttl(std::time::Duration::ZERO);
    let cached = behind(&cache, &store).await;
    let runs = [key("t", "waits"), key("t", "never")];
    cached.summaries(&runs).await.unwrap();
    meter.take();
    for _ in 0..3 {
        let found = cached.summaries(&runs).await.unwrap();
        assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
        assert!(cached.read(&runs[0]).await.unwrap().is_some() && cached.read(&runs[1]).await.unwrap().is_none());
        cached.list(RunQuery::default()).await.unwrap();
    }
    assert_eq!((meter.take().reads, cache.counts().kept, cache.counts().hits), (12, 0, 0));
}

#[tokio::test]
async fn summaries_come_in_their_order_whichever_come_from_where() {
    let (store, _) = metered();
    let names = ["a", "b", "c", "d", "e"];
    for name in ["a", "c", "e"] {
        ended(&*store, "t", name, RunStatus::Failed).await;
    }
    create(&*store, None, new_run("t", "d", "work")).await;
    let cache = patient(&PrivateRedis::shared().unwrap().url(0));
    let cached = behind(&cache, &store).await;
    cached.summaries(&[key("t", "c"), key("t", "a")]).await.unwrap();
    kept(&cache, 2).await;
    let runs = names.map(|name| key("t", name));
    let told = cached.summaries(&runs).await.unwrap();
    assert_eq!(told, store.summaries(&runs).await.unwrap());
    assert_eq!(told.iter().flatten().count(), 4);
    assert_eq!((cache.counts().hits, cache.counts().misses), (2, 5));
    assert!(cached.summaries(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn records_are_kept_only_where_the_host_says_so() {
    let (store, meter) = metered();
    let new = ended(&*store, "t", "secret", RunStatus::Succeeded).await;
    let server = super::server();
    let cache = ReadCache::redis(&server.url(3)).unwrap().timeout(LONG);
    let cached = behind(&cache, &store).await;
    for _ in 0..2 {
        cached.read(&new.key).await.unwrap();
        cached.summaries(std::slice::from_ref(&new.key)).await.unwrap();
        kept(&cache, 1).await;
    }
    assert_eq!((meter.take().reads, cache.counts().kept), (3, 1));
    // And in the database that the URL names.
    assert!(server.command(&[b"DBSIZE"]).unwrap().text() == "0");
}

fn entry(kind: &str, name: &str) -> EntryKey {
    let (kind, name) = (EntryKind::new(kind).unwrap(), EntryName::new(name).unwrap());
    EntryKey { kind, tenant: TenantId::default(), name }
}

fn put(key: &EntryKey, value: &str, expect: Expect) -> Put {
    Put { key: key.clone(), value: Some(value.to_owned().into()), expect }
}

#[tokio::test]
async fn entries_are_kept_of_the_kinds_that_are_named_alone() {
    let (store, meter) = metered();
    let (named, other) = (entry("connection", "bank"), entry("queue", "bank"));
    for key in [&named, &other] {
        store.put(put(key, "first", Expect::Absent)).await.unwrap();
    }
    let cache = patient(&PrivateRedis::shared().unwrap().url(0)).entries(named.kind.clone(), LONG);
    let cached = behind(&cache, &store).await;
    let scan = |kind: &EntryKind| Scan { kind: kind.clone(), tenant: None, after: None, limit: 0 };
    for _ in 0..2 {
        for key in [&named, &other] {
            assert_eq!(cached.get(key).await.unwrap().unwrap().value, "first");
            assert_eq!(cached.scan(scan(&key.kind)).await.unwrap().len(), 1);
        }
        kept(&cache, 2).await;
    }
    // Once to find out whose answers these are, twice each of those that were kept not.
    assert_eq!((cache.counts().hits, meter.take().looks), (2, 1 + 2 + 4));
    assert_eq!(cached.get(&entry("connection", "none")).await.unwrap(), None);
}

#[tokio::test]
async fn whoever_changes_an_entry_finds_it_as_it_is_now() {
    let (store, _) = metered();
    let key = entry("connection", "bank");
    let cache = patient(&PrivateRedis::shared().unwrap().url(0)).entries(key.kind.clone(), LONG);
    let cached = behind(&cache, &store).await;
    let first = store.put(put(&key, "first", Expect::Absent)).await.unwrap();
    cached.get(&key).await.unwrap();
    kept(&cache, 1).await;
    // Somebody else changes it: who only looks is told the old one, and who tries to change it learns of the new.
    let second = store.put(put(&key, "second", Expect::Any)).await.unwrap();
    assert_eq!(cached.get(&key).await.unwrap().unwrap().version, first);
    cached.put(put(&key, "third", Expect::Version(first))).await.unwrap_err();
    assert_eq!(cached.get(&key).await.unwrap().unwrap().version, second);
    let third = cached.put(put(&key, "third", Expect::Version(second))).await.unwrap();
    assert_eq!(cached.get(&key).await.unwrap().unwrap().version, third);
}

#[tokio::test]
async fn a_store_that_was_closed_answers_nothing_from_its_cache() {
    let (store, _) = metered();
    let new = ended(&*store, "t", "done", RunStatus::Succeeded).await;
    let cache = patient(&PrivateRedis::shared().unwrap().url(0));
    let cached = behind(&cache, &store).await;
    cached.summaries(std::slice::from_ref(&new.key)).await.unwrap();
    kept(&cache, 1).await;
    cached.close().await.unwrap();
    crate::support::fails(cached.summaries(std::slice::from_ref(&new.key)).await, fastn_core::ErrorKind::Closed);
    crate::support::fails(acquire(&*cached, "late", 1).await, fastn_core::ErrorKind::Closed);
    assert!(cache.counts().connected == 0);
}
