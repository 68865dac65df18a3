//! What hosts say about a queue.

use std::time::Duration;

use fastn_core::{Error, ErrorKind, QueueKey, QueueName, Result};
use fastn_store::{QueueRules, Rate};

/// A queue, and what it allows: everything at once, unless it is said otherwise.
///
/// ```
/// # use std::time::Duration;
/// # use fastn_runtime::Queue;
/// Queue::new("mail").concurrency(10).per_key(1).rate(100, Duration::from_secs(60)).fair();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a queue is made known by `EngineBuilder::queue`"]
pub struct Queue {
    name: String,
    rules: QueueRules,
}

impl Queue {
    /// A queue of this name: one for all tenants.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), rules: QueueRules::default() }
    }

    /// At most so many of its runs at a time, in all executors together. A run counts from when it is admitted until it ends,
    /// also while it sleeps.
    pub fn concurrency(mut self, most: u32) -> Self {
        self.rules.concurrency = Some(most);
        self
    }

    /// At most so many in one executor.
    pub fn per_executor(mut self, most: u32) -> Self {
        self.rules.per_executor = Some(most);
        self
    }

    /// At most so many of one key.
    pub fn per_key(mut self, most: u32) -> Self {
        self.rules.per_key = Some(most);
        self
    }

    /// At most so much is begun in every span of this length, whenever it begins.
    pub fn rate(self, quota: u32, per: Duration) -> Self {
        self.limited_to(Rate::sliding(quota, per))
    }

    /// At most this is begun.
    pub fn limited_to(mut self, rate: Rate) -> Self {
        self.rules.rate = Some(rate);
        self
    }

    /// At most so much of one key is begun in every span of this length, whenever it begins.
    pub fn rate_per_key(self, quota: u32, per: Duration) -> Self {
        self.limited_per_key_to(Rate::sliding(quota, per))
    }

    /// At most this of one key is begun.
    pub fn limited_per_key_to(mut self, rate: Rate) -> Self {
        self.rules.rate_per_key = Some(rate);
        self
    }

    /// Keys take turns, however much each of them has waiting. Otherwise runs go by their priority and by when they came.
    pub fn fair(mut self) -> Self {
        self.rules.fair = true;
        self
    }

    /// Keys take turns, and this one has so many while others have one.
    pub fn weight(mut self, key: &str, turns: u32) -> Self {
        self.rules.weights.insert(QueueKey::of(key), turns);
        self.fair()
    }

    /// How much longer a run must have waited to go before one whose priority is larger by one; by default a minute.
    pub fn ageing(mut self, span: Duration) -> Self {
        self.rules.ageing = span;
        self
    }

    /// Where in a run's input its key is, unless its start says one: a JSON Pointer (RFC 6901) such as `/customer/id`. By
    /// default the key is the run's tenant.
    pub fn key(mut self, pointer: impl Into<String>) -> Self {
        self.rules.key = Some(pointer.into());
        self
    }

    /// # Errors
    /// `Invalid` if there can be no such queue.
    pub(super) fn into_parts(self) -> Result<(QueueName, QueueRules)> {
        let wrong = |e: Error| e.with("queue", &self.name);
        self.rules.check().map_err(wrong)?;
        Ok((name(&self.name)?, self.rules))
    }
}

/// A queue's name.
pub(super) fn name(text: &str) -> Result<QueueName> {
    QueueName::new(text).map_err(|e| Error::new(ErrorKind::Invalid, "name queue").with("name", text).caused_by(e))
}
