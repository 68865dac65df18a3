//! What people have done to a run, as far as it is not over.

use fastn_core::{Address, Attempt, By, Part, Timestamp};

use super::cell::Try;
use super::slot::Slot;

/// What people have done to a run, or have to.
#[derive(Clone, Debug, Default)]
pub(super) struct Hand {
    pub(super) pause: Option<Pause>,
    /// How many attempts there are whose outcome a person has to say.
    pub(super) doubts: u32,
    /// Attempts that are under way although somebody has decided what became of them.
    disowned: Vec<(Address, Part, Attempt)>,
}

/// That a run is paused.
#[derive(Clone, Debug)]
pub(super) struct Pause {
    pub(super) by: By,
    pub(super) since: Timestamp,
    /// Attempts that were under way when their executor died.
    pub(super) interrupted: Vec<(Slot, Try)>,
}

impl Hand {
    /// An attempt that was under way when its executor died is not made again when the run goes on. Whether there is one.
    pub(super) fn forget_interrupted(&mut self, slot: Slot) -> bool {
        let Some(pause) = &mut self.pause else { return false };
        let before = pause.interrupted.len();
        pause.interrupted.retain(|(interrupted, _)| *interrupted != slot);
        pause.interrupted.len() < before
    }

    /// Nobody waits for the answer to this attempt any more.
    pub(super) fn disown(&mut self, at: &Address, part: Part, attempt: Attempt) {
        self.disowned.push((at.clone(), part, attempt));
    }

    /// Whether nobody waits for the answer to this attempt, which has come.
    pub(super) fn is_disowned(&mut self, at: &Address, part: Part, attempt: Attempt) -> bool {
        let place = self.disowned.iter().position(|(of, which, no)| (of, *which, *no) == (at, part, attempt));
        place.map(|place| self.disowned.swap_remove(place)).is_some()
    }
}
