//! What fastn promises, once more, with every run unloaded after every turn: whatever it needs to go on is in the store.
//!
//! All rooms of the suite but those that would not be the same: `house` reads sources, `cost` and `spans` tell what is done
//! for a run that stays in memory, and the engines of `old_formats` open databases of other builds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail")]
#![allow(dead_code, reason = "what only the others use")]

#[path = "../it/ahead.rs"]
mod ahead;
#[path = "../it/chaos.rs"]
mod chaos;
#[path = "../it/children.rs"]
mod children;
#[path = "../it/connectors.rs"]
mod connectors;
#[path = "../it/crash_sweep.rs"]
mod crash_sweep;
#[path = "../it/dead_letters.rs"]
mod dead_letters;
#[path = "../it/disk_full.rs"]
mod disk_full;
#[path = "../it/documents.rs"]
mod documents;
#[path = "../it/ending.rs"]
mod ending;
#[path = "../it/engine.rs"]
mod engine;
#[path = "../it/failures.rs"]
mod failures;
#[path = "../it/fleet.rs"]
mod fleet;
#[path = "../it/hazards.rs"]
mod hazards;
#[path = "../it/killed.rs"]
mod killed;
#[path = "../it/outage.rs"]
mod outage;
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
