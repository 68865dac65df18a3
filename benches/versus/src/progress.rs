//! How far the steps of many runs have come.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

use tokio::sync::Notify;

/// How far the steps of many runs have come.
#[derive(Debug)]
pub struct Progress {
    first: OnceLock<Instant>,
    made: AtomicUsize,
    to_come: AtomicUsize,
    arrived: Notify,
}

impl Progress {
    /// Of so many runs.
    pub fn new(runs: usize) -> Self {
        Self {
            first: OnceLock::new(),
            made: AtomicUsize::new(0),
            to_come: AtomicUsize::new(runs),
            arrived: Notify::new(),
        }
    }

    /// A step is made.
    pub fn step(&self) {
        self.first.get_or_init(Instant::now);
        self.made.fetch_add(1, SeqCst);
    }

    /// One run has come to where all are to come.
    pub fn arrive(&self) {
        if self.to_come.fetch_sub(1, SeqCst) == 1 {
            self.arrived.notify_one();
        }
    }

    /// Completes when all runs have come there.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// When the first step was made, and how many were.
    pub fn made(&self) -> (Option<Instant>, usize) {
        (self.first.get().copied(), self.made.load(SeqCst))
    }
}
