//! How an SQLite store is opened.

use crate::Retention;

/// How hard a commit is made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synchronous {
    /// What was committed survives a power cut.
    #[default]
    Full,
    /// What was committed survives the death of the process; a power cut may take the last commits, never the
    /// soundness of the file.
    Normal,
}

impl Synchronous {
    /// The number that SQLite has for it.
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Full => 2,
            Self::Normal => 1,
        }
    }
}

/// How an SQLite store is opened.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    pub(super) synchronous: Synchronous,
    pub(super) journal_budget: usize,
    pub(super) max_bytes: Option<u64>,
    pub(super) retention: Retention,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        let retention = Retention::default();
        Self { synchronous: Synchronous::Full, journal_budget: 16 << 20, max_bytes: None, retention }
    }
}

impl SqliteOptions {
    /// How hard a commit is made durable; [`Full`](Synchronous::Full) unless set.
    #[must_use]
    pub const fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// How many bytes of records of unfinished runs gather in the journal before they are moved to where they stay;
    /// 16 MiB unless set. About as much memory is used for them, and as much is read when an executor starts or an
    /// unfinished run is read.
    #[must_use]
    pub const fn journal_budget(mut self, bytes: usize) -> Self {
        self.journal_budget = bytes;
        self
    }

    /// The size in bytes above which the database does not grow, rounded down to whole pages: commits that would need
    /// more are [`Unavailable`](fastn_core::ErrorKind::Unavailable). Unlimited unless set.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// How long runs are kept after they have ended, by this machine's calendar; 30 days unless set. Half a minute after
    /// opening and then each hour whoever has the lease deletes those whose time is over, a few at a time between commits.
    /// What they leave in the file is used again.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }
}
