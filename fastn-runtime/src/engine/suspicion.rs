//! Runs that are begun one by one, since the next death over one of them parks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fastn_store::Suspects;

use super::bells::Bells;

/// Whether a run is under way that would be parked if its executor died: of such runs a tenure has one at a time. If one of
/// them kills, the others were not there, and are not parked for it.
#[derive(Debug, Default)]
pub(super) struct Suspicion(Arc<AtomicBool>);

impl Suspicion {
    /// Which runs are to be given one by one, if so many deaths park one, and how many of them just now.
    pub(super) fn suspects(&self, poison_after: u32) -> Suspects {
        Suspects { deaths: poison_after.saturating_sub(1), limit: u32::from(!self.0.load(Ordering::SeqCst)) }
    }

    /// A run is about to be begun over which so many have died: what it holds until it got further, or is gone.
    pub(super) fn of(&self, deaths: u32, poison_after: u32, bells: &Arc<Bells>) -> Option<Suspect> {
        if deaths == 0 || deaths != self.suspects(poison_after).deaths {
            return None;
        }
        self.0.store(true, Ordering::SeqCst);
        Some(Suspect { there: self.0.clone(), bells: bells.clone() })
    }
}

/// Is held for a run of which more is not yet recorded than when its last executor died.
#[derive(Debug)]
pub(super) struct Suspect {
    there: Arc<AtomicBool>,
    bells: Arc<Bells>,
}

impl Drop for Suspect {
    fn drop(&mut self) {
        self.there.store(false, Ordering::SeqCst);
        // The next one may be waiting.
        self.bells.runs.notify_one();
        self.bells.own_queues.notify_one();
    }
}
