//! What the stores of this crate promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test says that something is wrong by panicking, and a child process says what it did by printing"
)]

mod contract;
#[cfg(feature = "sqlite")]
mod sqlite;
mod support;
mod url;
