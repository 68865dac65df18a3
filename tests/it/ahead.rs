//! Items of an `each` that begin before what the ones before them gave is on disk.

use std::sync::Arc;

use fastn::prelude::*;
use fastn::store::Store;

use crate::hazards::{settled, soon};
use crate::slow_store::SlowStore;
use crate::world::{Log, Res, memory, noted};

/// The items that were begun, and the step after them, while no commit comes back.
async fn begun_without_the_disk(count: u64, durability: Durability) -> (Vec<String>, Vec<String>) {
    let log = Log::default();
    let items = |n: u64| async move { Res::Ok((0..n).collect::<Vec<_>>()) };
    let sum = {
        let log = log.clone();
        move |items: Vec<u64>| {
            log.note("sum");
            async move { Res::Ok(items.into_iter().sum::<u64>()) }
        }
    };
    let flow = workflow("w")
        .define(|flow, n| {
            let list = flow.step("items", items, n);
            let done = flow.each("each", list.at_most(1), |flow, item| {
                flow.step("item", noted(&log, "item").durability(durability), item)
            });
            flow.step("sum", sum, done)
        })
        .unwrap();
    // The run is created and has its list.
    let store = SlowStore::new(memory(), 9, 2);
    // Not one that unloads runs: that waits for every result.
    let engine = Engine::builder().store(store.clone() as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, count).await.unwrap();
    settled().await;
    let before = log.take();
    store.commits.add_permits(100);
    assert_eq!(soon("the run", run.output()).await.unwrap(), count * (count - 1) / 2);
    (before, log.take())
}

#[tokio::test]
async fn an_item_does_not_wait_until_the_one_before_it_is_written_and_what_follows_all_does() {
    let (before, after) = begun_without_the_disk(5, Durability::Strict).await;
    assert_eq!(before, ["item"; 5]);
    assert_eq!(after, ["sum"]);
}

/// What a process that dies may have to do again is bounded: sixteen results that are not written, and what is under way.
#[tokio::test]
async fn not_more_than_sixteen_items_run_ahead_of_the_disk() {
    let (before, after) = begun_without_the_disk(40, Durability::Strict).await;
    assert_eq!(before, ["item"; 17]);
    assert_eq!(after.len(), 40 - 17 + 1);
}

#[tokio::test]
async fn an_item_that_may_happen_only_once_waits_until_its_start_is_written() {
    let (before, after) = begun_without_the_disk(5, Durability::AtMostOnce).await;
    assert_eq!(before, ["item"]);
    assert_eq!(after, ["item", "item", "item", "item", "sum"]);
}
