//! What fastn-workflow promises, seen from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail")]

mod graph;
mod macros;
mod plans;
mod running;
mod shop;
