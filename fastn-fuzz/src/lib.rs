//! What hostile bytes must not do to fastn.
//!
//! A [`Target`] is a parser of bytes that come from outside or from a disk, with what must hold whatever they are: no
//! panic, no exhausted stack, memory and time bounded by the bytes, and what was read writes and reads back as itself.
//! Here is the one definition of each; `fuzz/` gives them to cargo-fuzz, and `tests/it.rs` replays the corpus that is
//! kept in `fuzz/corpus` and changes it for a moment in every run of the tests.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a target says what it found by panicking"
)]

mod chance;
mod corpus;
mod driver;
mod mutate;
mod object;
mod secret;
mod target;
mod targets;

pub use crate::chance::Chance;
pub use crate::corpus::{corpus, corpus_of};
pub use crate::mutate::mutate;
pub use crate::target::{TARGETS, Target, target};
