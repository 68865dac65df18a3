//! What a store remembers of a run whose turns it writes.

use fastn_core::Timestamp;

use super::draft::Change;
use crate::standing::status_after;
use crate::{RunStatus, Then};

/// The most that is remembered of a run's records, in bytes.
const MOST_TAIL: usize = 1 << 20;

/// A run that the lease holds.
#[derive(Debug)]
pub(crate) struct RunState {
    /// The sequence number of its next record.
    pub(crate) next: u64,
    /// As its row has it.
    pub(crate) status: RunStatus,
    /// As its row has it.
    pub(crate) wake_at: Option<Timestamp>,
    /// Its records that are in the journal and not yet in `flow_history`.
    pub(crate) tail: Vec<u8>,
    /// How many these are.
    pub(crate) tail_count: u64,
    /// Whether it may be of a queue. Only where somebody asks.
    #[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "on Postgres the database sees to it"))]
    pub(crate) queued: bool,
}

impl RunState {
    /// A run whose records are all in `flow_history`.
    pub(crate) const fn folded(next: u64, status: RunStatus, wake_at: Option<Timestamp>) -> Self {
        Self { next, status, wake_at, tail: Vec::new(), tail_count: 0, queued: false }
    }

    /// The sequence number of the first record of the tail.
    pub(crate) const fn tail_first(&self) -> u64 {
        self.next.saturating_sub(self.tail_count)
    }

    /// Whether what the journal has of a run is moved to where it stays: when it ends or waits, and when it has become so
    /// much that it should not be remembered.
    pub(crate) fn is_settled(&self, change: &Change) -> bool {
        change.then != Then::Run || self.tail.len() + change.size() > MOST_TAIL
    }

    /// Takes over that a change was written. Only of a run that goes on.
    pub(crate) fn add(&mut self, change: &Change) {
        self.next = change.next();
        self.status = status_after(change.then);
        self.wake_at = change.then.wakes_at();
        if self.is_settled(change) {
            self.settled();
        } else {
            self.tail_count += change.count;
            change.records().for_each(|records| self.tail.extend_from_slice(records));
        }
    }

    /// Takes over that its tail was moved to where it stays.
    pub(crate) fn settled(&mut self) {
        self.tail = Vec::new();
        self.tail_count = 0;
    }

    /// Gives all of a run that is not there yet to be written to where it stays: in one piece, or in two rather than put
    /// together what is large. `whole` is memory to put it together in.
    pub(crate) fn settle<E>(
        &self,
        change: &Change,
        whole: &mut Vec<u8>,
        mut write: impl FnMut(u64, u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (first, count) = (self.tail_first(), self.tail_count);
        if self.tail.len() + change.size() > MOST_TAIL && count > 0 {
            write(first, count, &self.tail)?;
        } else if count > 0 {
            whole.clear();
            whole.extend_from_slice(&self.tail);
            change.records().for_each(|records| whole.extend_from_slice(records));
            return write(first, count + change.count, whole);
        }
        match change.only() {
            _ if change.count == 0 => Ok(()),
            Some(records) => write(change.first, change.count, records),
            None => {
                whole.clear();
                change.records().for_each(|records| whole.extend_from_slice(records));
                write(change.first, change.count, whole)
            }
        }
    }
}
