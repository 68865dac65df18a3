//! Doors to private parsers, for fastn-fuzz. No part of the interface: they come and go.

pub use crate::engine::fuzzing::{KeptSchedule, audit_line, dead_letter_mark, kept_schedule, message, write_schedule};
