//! What the stores of this crate promise beyond what every store does: for that, see `conformance.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test says that something is wrong by panicking, and a child process says what it did by printing"
)]

#[cfg(feature = "redis")]
mod cache;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod retention;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg_attr(not(feature = "sqlite"), allow(dead_code, unused_imports, reason = "they are about databases"))]
mod support;
mod url;
