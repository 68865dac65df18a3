//! A run that is paused: nothing of it begins.
//!
//! What was under way is answered and recorded, and signals are taken; whatever would begin is held back until the run goes
//! on. An attempt that is held back is one that is due: so it is the same whether it was held back live or in a replay, and
//! goes on as a retry whose time has come.

use fastn_core::plan::NodeIx;
use fastn_core::{By, Event, Result, Timestamp};

use super::cell::{State, Try};
use super::hand::Pause;
use super::slot::Slot;
use super::state::{Machine, Phase, corrupt};
use super::turn::Turn;

impl Machine {
    /// What pausing the run is now: an event, or nothing if it is paused, has ended, or was told of this before.
    pub fn pause(&self, id: [u8; 16], by: &By) -> Option<Event> {
        let goes = !matches!(self.phase, Phase::Over(_)) && !self.is_paused() && !self.signals.has_heard(&id);
        goes.then(|| Event::Paused { id, by: by.clone() })
    }

    /// What letting it go on is now: an event, or nothing if it is not paused, or was told of this before.
    pub fn unpause(&self, id: [u8; 16], by: &By) -> Option<Event> {
        let goes = self.paused().is_some() && !self.signals.has_heard(&id);
        goes.then(|| Event::Resumed { id, by: by.clone() })
    }

    /// Who paused it and why, and since when; `None` if it is not paused.
    pub fn paused(&self) -> Option<(&By, Timestamp)> {
        let goes = !matches!(self.phase, Phase::Over(_));
        self.hand.as_ref().filter(|_| goes)?.pause.as_ref().map(|pause| (&pause.by, pause.since))
    }

    pub(super) fn is_paused(&self) -> bool {
        self.hand.as_ref().is_some_and(|hand| hand.pause.is_some())
    }

    pub(super) fn begin_pause(&mut self, id: [u8; 16], by: &By, time: Timestamp) -> Result<()> {
        if self.is_paused() || !self.signals.hear(id) {
            return Err(corrupt("it was paused twice", NodeIx(0)));
        }
        self.by_hand().pause = Some(Pause { by: by.clone(), since: time, interrupted: Vec::new() });
        Ok(())
    }

    pub(super) fn end_pause(&mut self, id: [u8; 16], turn: &mut Turn) -> Result<()> {
        if !self.is_paused() || !self.signals.hear(id) {
            return Err(corrupt("it was not paused", NodeIx(0)));
        }
        self.lift_pause(turn)
    }

    /// The pause is over, if there is one: whoever cancels the run wants what was done undone.
    pub(super) fn lift_pause(&mut self, turn: &mut Turn) -> Result<()> {
        let Some(pause) = self.hand.as_mut().and_then(|hand| hand.pause.take()) else { return Ok(()) };
        for (slot, attempt) in pause.interrupted {
            self.make_again(slot, attempt, turn)?;
        }
        Ok(())
    }

    /// An attempt is not begun as long as the run is paused.
    pub(super) fn hold_back(&mut self, slot: Slot, attempt: Try, time: Timestamp) -> Result<()> {
        self.timers.insert((time, slot));
        self.scopes.cell_mut(slot)?.state = State::Backoff(attempt, time);
        Ok(())
    }

    /// An attempt whose executor died is not made again as long as the run is paused. Whether that is so.
    pub(super) fn hold_again(&mut self, slot: Slot, attempt: &Try) -> bool {
        match self.hand.as_mut().and_then(|hand| hand.pause.as_mut()) {
            Some(pause) => pause.interrupted.push((slot, attempt.clone())),
            None => return false,
        }
        true
    }
}
