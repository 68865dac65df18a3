//! Commits that are under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use super::planned::Planned;
use crate::{Batch, Write};

/// The commits of a lease whose answers are not there yet, by number. No two of them are about the same run.
#[derive(Debug, Default)]
pub(super) struct Flights {
    out: BTreeMap<i64, Out>,
    news: Arc<Notify>,
}

#[derive(Debug)]
struct Out {
    planned: Planned,
    lost: Arc<AtomicBool>,
}

/// A commit that is under way, in the hands of who waits for its answer. Dropped before it has landed, it is lost: nobody
/// knows what became of it, until somebody finds out.
#[derive(Debug)]
#[must_use]
pub(super) struct Flight {
    seq: i64,
    lost: Arc<AtomicBool>,
    news: Arc<Notify>,
}

impl Flights {
    /// From here on nobody knows, until the answer is there.
    pub(super) fn take_off(&mut self, planned: Planned) -> Flight {
        let (seq, lost) = (planned.seq, Arc::new(AtomicBool::new(false)));
        self.out.insert(seq, Out { planned, lost: lost.clone() });
        Flight { seq, lost, news: self.news.clone() }
    }

    /// The answer to a commit is there.
    pub(super) fn land(&mut self, flight: &Flight) -> Option<Planned> {
        self.forget(flight.seq)
    }

    /// It is known what became of the commit of this number.
    pub(super) fn forget(&mut self, seq: i64) -> Option<Planned> {
        let out = self.out.remove(&seq)?;
        self.news.notify_waiters();
        Some(out.planned)
    }

    /// The number of the first commit of which nobody knows whether it took effect.
    pub(super) fn lost(&self) -> Option<i64> {
        self.out.iter().find(|(_, out)| out.is_lost()).map(|(seq, _)| *seq)
    }

    /// Whether there are none, known or lost.
    pub(super) fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Whether somebody waits for an answer.
    pub(super) fn is_awaited(&self) -> bool {
        self.out.values().any(|out| !out.is_lost())
    }

    /// Whether one is about a run of this batch, or about all: while the journal is cleared, nothing else is on its way.
    pub(super) fn meets(&self, batch: &Batch) -> bool {
        let about = |write: &Write| match write {
            Write::Turn(turn) => self.out.values().any(|out| out.planned.draft.changes.contains_key(&turn.run)),
            Write::Create(_) | Write::Enqueue(_) => false,
        };
        self.out.values().any(|out| out.planned.folded) || (!self.out.is_empty() && batch.writes.iter().any(about))
    }

    /// Something becomes of one.
    pub(super) fn news(&self) -> Arc<Notify> {
        self.news.clone()
    }
}

impl Out {
    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // Of no interest for one that has landed: it is not among those that are out.
        self.lost.store(true, Ordering::Release);
        self.news.notify_waiters();
    }
}
