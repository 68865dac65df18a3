//! What fastn promises, seen through its front door.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail")]

mod ahead;
mod chaos;
mod children;
mod connectors;
mod cost;
mod crash_sweep;
mod dead_letters;
mod disk_full;
mod documents;
mod ending;
mod engine;
mod failures;
mod fleet;
mod hazards;
mod house;
mod killed;
mod old_formats;
mod outage;
mod poison;
mod postgres;
mod queue_processes;
mod queues;
mod read_cache;
mod recovery;
mod schedules;
mod signals;
mod slow_store;
mod spans;
mod standby;
mod starting;
mod store_faults;
mod tags;
mod waiting;
mod withdrawn;
mod world;
