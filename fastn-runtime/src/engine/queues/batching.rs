//! How items are gathered.

use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result};

/// Where items are gathered, and how many of them become one run.
///
/// ```
/// # use std::time::Duration;
/// # use fastn_runtime::Batching;
/// Batching::new("mail", 100, Duration::from_secs(5)).bytes(64 << 10);
/// ```
#[derive(Clone, Debug)]
#[must_use = "items are gathered by `Engine::start_batched`"]
pub struct Batching {
    queue: String,
    pub(super) most: u32,
    pub(super) within: Duration,
    pub(super) bytes: u64,
}

impl Batching {
    /// In this queue, at most so many, and the first of them waits for others for so long at most.
    pub fn new(queue: impl Into<String>, most: u32, within: Duration) -> Self {
        Self { queue: queue.into(), most, within, bytes: u64::MAX }
    }

    /// At most so many bytes in the list of them, which is JSON; an item that is larger is a list of its own. It is never
    /// larger than a payload may be.
    pub fn bytes(mut self, most: u64) -> Self {
        self.bytes = most;
        self
    }

    pub(in crate::engine) fn queue(&self) -> &str {
        &self.queue
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.most > 0 && self.bytes > 0 {
            return Ok(());
        }
        let why = "of a list of none there is no run";
        Err(Error::new(ErrorKind::Invalid, "start run").with("queue", &self.queue).caused_by(why))
    }
}
