//! What fastn-runtime promises, seen from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail")]

mod ahead;
mod attempts;
mod deciding;
mod exhaustive;
mod forking;
mod machine;
mod outside;
mod pausing;
mod races;
mod random;
mod world;
