//! The kit finds what it is there to find.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail")]

mod broken;
mod differential;
#[cfg(unix)]
mod redis;
#[cfg(unix)]
mod server;
mod simulation;
mod suite;
mod sweep;
mod teeth;
mod twice;
