//! Looks whether other processes have written to the database.
//!
//! SQLite tells nobody, so it is asked: by the connection that writes, for which what it wrote itself is no change. That is
//! a few microseconds, 30 times a second, and only while somebody waits for news.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::board::Board;

/// How often to look.
const OFTEN: Duration = Duration::from_millis(33);

/// How long not to look after it has failed.
const RARELY: Duration = Duration::from_secs(1);

/// What was seen when it was last looked.
#[derive(Debug, Default)]
pub(super) struct Looked {
    version: Option<i64>,
    /// When to look next.
    next: Option<Instant>,
}

impl Looked {
    /// Looks if it is time to, and tells of what is new. How long until it is time again; `None` if nobody waits.
    pub(super) fn look(&mut self, conn: &Connection, board: &Board) -> Option<Duration> {
        if !board.is_read() {
            return None;
        }
        let now = Instant::now();
        if let Some(left) = self.next.map(|next| next.saturating_duration_since(now)).filter(|left| !left.is_zero()) {
            return Some(left);
        }
        let version = conn
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut pragma| pragma.query_row([], |row| row.get::<_, i64>(0)));
        let span = match version {
            Ok(version) => {
                if self.version.replace(version) != Some(version) {
                    board.tell_all();
                }
                OFTEN
            }
            Err(error) => {
                tracing::warn!(%error, "it cannot be seen whether other processes have written");
                RARELY
            }
        };
        self.next = now.checked_add(span);
        Some(span)
    }
}
