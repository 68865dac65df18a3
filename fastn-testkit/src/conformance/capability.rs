//! What stores may differ in.

use std::fmt;

/// What a store may do or not do, as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// Several executors hold leases at the same time. A store without it answers
    /// [`Locked`](fastn_core::ErrorKind::Locked) to whoever asks while a lease is in force.
    ManyLeases,
}

impl Capability {
    /// The capability in a few words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ManyLeases => "many leases",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
