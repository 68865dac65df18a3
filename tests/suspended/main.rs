//! What fastn promises, once more, with every run unloaded after every turn: whatever it needs to go on is in the store.
//!
//! All rooms of the suite but those that would not be the same: `house` reads sources, `cost` and `spans` tell what is done
//! for a run that stays in memory, and the engines of `old_formats` open databases of other builds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail")]
#![allow(dead_code, reason = "what only the others use")]

#[path = "../it/ahead.rs"]
mod ahead;
#[path = "../it/backoff.rs"]
mod backoff;
#[path = "../it/chaos.rs"]
mod chaos;
#[path = "../it/children.rs"]
mod children;
#[path = "../it/connectors.rs"]
mod connectors;
#[path = "../it/contained.rs"]
mod contained;
#[path = "../it/copies.rs"]
mod copies;
#[path = "../it/crash_sweep.rs"]
mod crash_sweep;
#[path = "../it/dead_letters.rs"]
mod dead_letters;
#[path = "../it/deciding.rs"]
mod deciding;
#[path = "../it/disk_full.rs"]
mod disk_full;
#[path = "../it/documents.rs"]
mod documents;
#[path = "../it/ending.rs"]
mod ending;
#[path = "../it/engine.rs"]
mod engine;
#[path = "../it/every_store.rs"]
mod every_store;
#[path = "../it/explain.rs"]
mod explain;
#[path = "../it/failover.rs"]
mod failover;
#[path = "../it/failures.rs"]
mod failures;
#[path = "../it/fleet.rs"]
mod fleet;
#[path = "../it/forking.rs"]
mod forking;
#[path = "../it/hazards.rs"]
mod hazards;
#[path = "../it/intake.rs"]
mod intake;
#[path = "../it/killed.rs"]
mod killed;
#[path = "../it/lost_news.rs"]
mod lost_news;
#[path = "../it/outage.rs"]
mod outage;
#[path = "../it/pausing.rs"]
mod pausing;
#[path = "../it/poison.rs"]
mod poison;
#[path = "../it/postgres.rs"]
mod postgres;
#[path = "../it/queue_processes.rs"]
mod queue_processes;
#[path = "../it/queues.rs"]
mod queues;
#[path = "../it/read_cache.rs"]
mod read_cache;
#[path = "../it/recovery.rs"]
mod recovery;
#[path = "../it/schedules.rs"]
mod schedules;
#[path = "../it/signals.rs"]
mod signals;
#[path = "../it/slow_store.rs"]
mod slow_store;
#[path = "../it/stalled.rs"]
mod stalled;
#[path = "../it/standby.rs"]
mod standby;
#[path = "../it/starting.rs"]
mod starting;
#[path = "../it/store_faults.rs"]
mod store_faults;
#[path = "../it/tags.rs"]
mod tags;
#[path = "../it/waiting.rs"]
mod waiting;
#[path = "../it/withdrawn.rs"]
mod withdrawn;
#[path = "../it/world.rs"]
mod world;

/// Otherwise all of this would be the same as the suite that it repeats.
#[tokio::test]
async fn runs_do_leave_memory_after_every_turn() {
    use std::sync::Arc;

    use fastn::prelude::*;
    use fastn_testkit::MeterStore;

    let log = world::Log::default();
    let flow = workflow("chain")
        .define(|flow, n| {
            let a = flow.step("a", world::noted(&log, "a"), n);
            let b = flow.step("b", world::noted(&log, "b"), a);
            flow.step("c", world::noted(&log, "c"), b)
        })
        .unwrap();
    let reads = async |builder: fastn::runtime::EngineBuilder| {
        let store = Arc::new(MeterStore::new(world::memory()));
        let engine = builder.store(store.clone() as Arc<dyn fastn::store::Store>).serve(&flow).open().await.unwrap();
        store.take();
        assert_eq!(engine.start(&flow, 7).await.unwrap().output().await.unwrap(), 7);
        store.take().reads
    };
    let (unloaded, kept) = (reads(world::builder()).await, reads(Engine::builder()).await);
    assert!(unloaded >= kept + 2, "{unloaded} reads, and {kept} of a run that stays: it was not read for b and c");
    assert_eq!(log.take(), ["a", "b", "c", "a", "b", "c"]);
}
