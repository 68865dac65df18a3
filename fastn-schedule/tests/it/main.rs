//! When things are due.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says that something is wrong by panicking"
)]

mod bounds;
mod clocks;
mod cron;
mod dates;
mod days;
mod interval;
mod support;
mod table;
mod text;
