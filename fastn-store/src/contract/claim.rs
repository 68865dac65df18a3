//! Runs come into the hands of a lease.

use fastn_core::Timestamp;

use super::{DefinitionKey, History, RunNo};

/// Asks for runs.
#[derive(Clone, Debug)]
pub struct ClaimAsk {
    /// The token of the lease that is to hold them.
    pub lease: u64,
    /// The present time.
    pub now: Timestamp,
    /// The definitions that the executor can run.
    pub serves: Vec<DefinitionKey>,
    /// At most so many runs.
    pub limit: u32,
    /// Of these at most so many.
    pub suspects: Suspects,
}

/// Runs over which so many executors have died that they are to be begun one by one: if one of them kills again, the others
/// were not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suspects {
    /// Those that would be given with exactly so many [deaths](Claimed::deaths); 0 for none.
    pub deaths: u32,
    /// At most so many of them are given. The others stay as they are, for whoever asks next: nobody dies over them meanwhile.
    pub limit: u32,
}

impl Suspects {
    /// Whether a run may be given that would be given with so many deaths. Counts it, if it is one of these.
    pub(crate) fn let_pass(&mut self, deaths: u32) -> bool {
        if self.deaths == 0 || deaths != self.deaths {
            return true;
        }
        let passes = self.limit > 0;
        self.limit = self.limit.saturating_sub(1);
        passes
    }
}

/// A run that was claimed, with all that is recorded of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Its number, for its turns.
    pub no: RunNo,
    /// The run and its records.
    pub history: History,
    /// How many leases in a row have held it, ended without being [released](super::Store::release), and left it with as
    /// many records as it had when they got it, this far: 0 if the last one was released, or the run waited. What a run
    /// does to executors can be told from this.
    pub deaths: u32,
}
