//! What becomes of turns, as it is handed to the server.

use fastn_core::{Error, Result, Timestamp};

use super::lane::Held;
use super::numbers::stored;
use crate::journal::{Change, encode};
use crate::standing::status_after;
use crate::{RunNo, RunStatus, Then};

/// What becomes of turns, a column each.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) journal_runs: Vec<i64>,
    pub(super) entries: Vec<u8>,
    pub(super) piece_no: Vec<i64>,
    pub(super) piece_first: Vec<i64>,
    pub(super) piece_count: Vec<i64>,
    pub(super) piece_status: Vec<Option<i16>>,
    pub(super) piece_at: Vec<Option<i64>>,
    pub(super) piece_records: Vec<Vec<u8>>,
    pub(super) open_no: Vec<i64>,
    pub(super) open_status: Vec<i16>,
    pub(super) open_wake: Vec<Option<i64>>,
    pub(super) closed: Vec<i64>,
    /// Whether one has ended.
    pub(super) ended: bool,
}

impl Rows {
    /// Writes a change: to the journal, or if the run ends or waits, or the journal is cleared, to where it stays.
    pub(super) fn add(&mut self, no: RunNo, held: &Held, change: &Change, folded: bool) -> Result<()> {
        if !folded && !held.state.is_settled(change) {
            if change.count > 0 {
                self.journal_runs.push(stored(no.0));
                encode(&mut self.entries, no, (change.first, change.count), change.records())?;
            }
            return Ok(());
        }
        let mut whole = Vec::new();
        held.state.settle(change, &mut whole, |first, count, records| {
            self.piece(no, first, count, records);
            Ok::<_, Error>(())
        })?;
        // A run ends with a record, so that this piece is of its end.
        if let (Then::End(status), Some(code), Some(at)) =
            (change.then, self.piece_status.last_mut(), self.piece_at.last_mut())
        {
            (*code, *at) = (Some(i16::from(status.code())), Some(change.at.as_micros()));
        }
        Ok(())
    }

    /// Changes the row that others find a run by. Whether it gets one.
    pub(super) fn row(&mut self, no: RunNo, held: &Held, change: &Change, folded: bool) -> bool {
        if matches!(change.then, Then::End(_)) {
            self.ended = true;
            if held.open {
                self.closed.push(stored(no.0));
            }
            return false;
        }
        let (status, wake_at) = (status_after(change.then), change.then.wakes_at());
        let differs = (status, wake_at) != (held.state.status, held.state.wake_at);
        let wanted = if held.open { differs } else { folded || status == RunStatus::Waiting };
        if wanted {
            self.open(no, status, wake_at);
        }
        wanted
    }

    pub(super) fn piece(&mut self, no: RunNo, first: u64, count: u64, records: &[u8]) {
        self.piece_no.push(stored(no.0));
        self.piece_first.push(stored(first));
        self.piece_count.push(stored(count));
        self.piece_status.push(None);
        self.piece_at.push(None);
        self.piece_records.push(records.to_vec());
    }

    pub(super) fn open(&mut self, no: RunNo, status: RunStatus, wake_at: Option<Timestamp>) {
        self.open_no.push(stored(no.0));
        self.open_status.push(i16::from(status.code()));
        self.open_wake.push(wake_at.map(Timestamp::as_micros));
    }
}
