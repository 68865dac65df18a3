//! That there is nothing to claim, as far as was heard.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{ClaimAsk, DefinitionKey, Suspects};

/// After how long it is looked for runs to claim although nobody has told of any: a word may have been lost.
const QUIET: Duration = Duration::from_secs(10);

/// When it was last seen that there is nothing to claim.
#[derive(Debug, Default)]
pub(super) struct Quiet(Mutex<Option<Seen>>);

/// What was asked then.
#[derive(Debug)]
struct Seen {
    lease: u64,
    serves: Vec<DefinitionKey>,
    suspects: Suspects,
    /// What had been heard of runs before it was looked.
    heard: u64,
    since: Instant,
}

impl Quiet {
    /// Whether there is nothing to claim for sure, for who hears of everything: it was looked not long ago, and nobody has told
    /// of anything since.
    pub(super) fn is_sure(&self, ask: &ClaimAsk, heard: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|seen| {
            let same = (seen.lease, seen.heard, seen.suspects) == (ask.lease, heard, ask.suspects);
            same && seen.serves == ask.serves && seen.since.elapsed() < QUIET
        })
    }

    pub(super) fn note(&self, ask: ClaimAsk, heard: u64) {
        let ClaimAsk { lease, serves, suspects, .. } = ask;
        let seen = Seen { lease, serves, suspects, heard, since: Instant::now() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }
}
