//! A store that is compared, and how one turned out to be different.

use std::fmt;
use std::sync::Arc;

use fastn_core::{BoxFuture, Result};
use fastn_store::{MemoryStore, Store};

type Opener = Arc<dyn Fn(u64) -> BoxFuture<'static, Result<Arc<dyn Store>>> + Send + Sync>;

/// A store that is compared with others.
#[derive(Clone)]
pub struct Subject {
    pub(super) name: String,
    pub(super) open: Opener,
    pub(super) reopens: bool,
    pub(super) gives_one_lease: bool,
    pub(super) numbers_apart: bool,
}

impl Subject {
    /// A store by its name for people. `open` gives the store of a number: a fresh and empty one for a number that is new.
    pub fn new<F>(name: impl Into<String>, open: impl Fn(u64) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Arc<dyn Store>>> + Send + 'static,
    {
        Self {
            name: name.into(),
            open: Arc::new(move |number| Box::pin(open(number))),
            reopens: false,
            gives_one_lease: false,
            numbers_apart: false,
        }
    }

    /// The store keeps what it is given: now and then it is dropped and opened again by its number, as after a crash.
    #[must_use]
    pub fn reopens(mut self) -> Self {
        self.reopens = true;
        self
    }

    /// The store gives one lease at a time. All that it is compared with are treated as if they did.
    #[must_use]
    pub fn gives_one_lease(mut self) -> Self {
        self.gives_one_lease = true;
        self
    }

    /// The store does not say which of a run of a queue and another one is the newer, if they were created within a second,
    /// nor which of two runs of queues, if one batch created them. So a script has the ones or the others, and one of a
    /// queue in a batch.
    #[must_use]
    pub fn numbers_runs_of_queues_apart(mut self) -> Self {
        self.numbers_apart = true;
        self
    }

    /// What the others are compared with.
    pub(super) fn reference() -> Self {
        Self::new("memory", |_| async { Ok(Arc::new(MemoryStore::new()) as Arc<dyn Store>) })
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({})", self.name)
    }
}

/// A store that answered differently from the memory store. It prints as a script that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// What it was found with.
    pub seed: u64,
    /// The store.
    pub store: String,
    /// What was done, the last of which was answered differently.
    pub script: Vec<String>,
    /// The answer.
    pub found: String,
    /// The memory store's answer.
    pub expected: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} differs from memory, seed {}:", self.store, self.seed)?;
        for deed in &self.script {
            writeln!(f, "  {deed}")?;
        }
        writeln!(f, "  found    {}", self.found)?;
        write!(f, "  expected {}", self.expected)
    }
}

impl std::error::Error for Difference {}
