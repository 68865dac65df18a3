//! Connectors as an engine uses them: through a registry, against real servers on the loopback and real processes.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests fail by panicking, too")]

mod registry;
#[cfg_attr(not(feature = "process"), allow(dead_code, reason = "what only processes need"))]
mod step;
mod typed;

#[cfg(feature = "http")]
mod http;
#[cfg(all(feature = "process", unix))]
mod process;
