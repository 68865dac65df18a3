//! How a run stands.

use std::fmt;

/// How a run stands.
///
/// The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum RunStatus {
    /// Created, and in nobody's hands yet.
    Pending = 0,
    /// Under way: from its creation on, if that was under a lease.
    Running = 1,
    /// Nothing happens before a certain time, unless something comes from outside.
    Waiting = 2,
    /// Ended with its output.
    Succeeded = 10,
    /// Ended in failure; what had been done was undone.
    Failed = 11,
    /// Cancelled; what had been done was undone.
    Cancelled = 12,
    /// Ended, and something could not be undone, or it was parked as poison: a person must look.
    Stuck = 13,
}

impl RunStatus {
    /// Every status.
    pub const ALL: &'static [Self] =
        &[Self::Pending, Self::Running, Self::Waiting, Self::Succeeded, Self::Failed, Self::Cancelled, Self::Stuck];

    /// The stored number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The status with this stored number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.code() == code)
    }

    /// Whether the run has ended.
    pub const fn is_final(self) -> bool {
        self.code() >= Self::Succeeded.code()
    }

    /// The status in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Stuck => "stuck",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
