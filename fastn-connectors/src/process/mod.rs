//! Programs of this machine.
//!
//! Each runs in a process group of its own, and a step that is done, cut off or dropped leaves nothing of the group
//! behind. What a program prints is passed on as progress line by line, and bounded. A program is given no shell
//! unless asked for.
//!
//! | what happened | kind | retried |
//! |---|---|---|
//! | an exit code that is not a success | `exit_3` and so on | yes |
//! | ended by a signal | `signal_9` and so on | yes |
//! | too slow | [`TIMEOUT`](fastn_core::FailureKind::TIMEOUT) | yes |
//! | the step was cancelled | [`CANCELLED`](fastn_core::FailureKind::CANCELLED) | if the run goes on |
//! | the system has no process or memory to spare | [`NOT_STARTED`] | yes |
//! | no such program, or none that can be run | [`NOT_FOUND`] | no |
//! | a program that is not allowed | [`FORBIDDEN_PROGRAM`] | no |
//!
//! A program that leaves its group on purpose (`setsid`) is out of reach, as a daemon means to be; it cannot hold up
//! the step, though.

mod builder;
mod collect;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod group;
mod lines;
mod message;
mod outcome;
mod run;
mod settings;
mod spawn;

pub use crate::process::builder::{Builder, Process};
pub use crate::process::message::{Command, Exit, RUN};
pub use crate::process::outcome::{FORBIDDEN_PROGRAM, NOT_FOUND, NOT_STARTED};
