//! Going on: after a crash, and when a timer is due.

use fastn_core::plan::NodeKind;
use fastn_core::{Bond, Durability, Event, Part, Result, Timestamp};

use super::cell::{State, Try};
use super::children::given_up;
use super::slot::Slot;
use super::state::Machine;
use super::turn::{Action, Turn};

impl Machine {
    /// Goes on with a run whose executor died: attempts that were under way are made again. After
    /// [`Machine::replay`], once.
    ///
    /// * The attempt of an at-most-once step fails with [`FailureKind::OUTCOME_UNKNOWN`](fastn_core::FailureKind::OUTCOME_UNKNOWN)
    ///   if it has an `on_error` function, which can find out what happened, or if the run is ending or a scope around the
    ///   attempt is given up; otherwise it holds until a person [decides](Machine::decide).
    /// * When the run is already ending, or a scope around the attempt is given up, only work that can be undone is made again,
    ///   so that its effect, if it had one,
    ///   is known and undone.
    ///
    /// # Errors
    /// [`Corrupt`](fastn_core::ErrorKind::Corrupt), which is not expected after a replay that succeeded.
    pub fn resume(&mut self, turn: &mut Turn) -> Result<()> {
        let mut interrupted = Vec::new();
        let mut unslept = Vec::new();
        for (scope, state) in self.scopes.iter() {
            for (node, cell) in state.cells() {
                match &cell.state {
                    State::Running(attempt) => interrupted.push((Slot { scope, node }, attempt.clone())),
                    State::Idle if cell.waits_for == 0 => unslept.push(Slot { scope, node }),
                    _ => {}
                }
            }
        }
        for (slot, attempt) in interrupted {
            if attempt.recorded {
                let (at, reconciles) = (self.address(slot)?, self.plan.node(slot.node).policy.on_error);
                turn.follow.push_back(match self.goes_in(slot.scope) && !reconciles {
                    true => Event::Doubted { at, attempt: attempt.attempt },
                    false => self.unknown(at, &attempt),
                });
                continue;
            }
            self.running = self.running.saturating_sub(1);
            if !self.hold_again(slot, &attempt) {
                self.make_again(slot, attempt, turn)?;
            }
        }
        // A run may die between its creation and the record of a sleep or a wait that it begins with.
        for slot in unslept {
            if !self.goes_in(slot.scope) {
                continue;
            }
            match self.plan.node(slot.node).kind {
                NodeKind::Sleep(span) => {
                    turn.follow.push_back(Event::Sleeping { at: self.address(slot)?, until: turn.time.plus(span) });
                }
                NodeKind::Wait(_) => self.begin_wait(slot, &Try::first(Part::Work, turn.time), turn)?,
                _ => {}
            }
        }
        turn.actions.extend(self.awaited.keys().copied().map(Action::Await));
        for (run, slot) in &self.awaited {
            if let Some(unwinding) = self.unwinds(slot.scope).and_then(|id| self.unwinding(id)) {
                turn.actions.push(Action::EndChild(*run, given_up(&unwinding.why)));
            }
        }
        self.drain(turn)
    }

    /// Makes an attempt again whose executor died, if the run has any use for it.
    pub(super) fn make_again(&mut self, slot: Slot, attempt: Try, turn: &mut Turn) -> Result<()> {
        let policy = &self.plan.node(slot.node).policy;
        let at_most_once = policy.durability == Durability::AtMostOnce && attempt.part == Part::Work;
        // Whether it has started a run is not known, and one that is there must not be left behind.
        let own = |kind: &NodeKind| matches!(kind, NodeKind::Run(child) if child.bond == Bond::Own);
        let starts = attempt.part == Part::Work && own(&self.plan.node(slot.node).kind);
        // An at-most-once step whose start is not on record was never begun.
        if self.goes_in(slot.scope) || starts || (policy.undo.is_some() && !at_most_once) {
            if at_most_once {
                let at = self.address(slot)?;
                turn.follow.push_back(Event::Started { at, attempt: attempt.attempt });
            }
            self.run(slot, attempt, turn)
        } else {
            self.scopes.cell_mut(slot)?.state = State::Idle;
            self.let_go(slot.scope);
            Ok(())
        }
    }

    /// Does what is due at the turn's time: sleeps and waits end, retries begin, runs that take too long are cancelled.
    ///
    /// # Errors
    /// [`Corrupt`](fastn_core::ErrorKind::Corrupt), which is not expected.
    pub fn wake(&mut self, turn: &mut Turn) -> Result<()> {
        let now: Timestamp = turn.time;
        if self.is_paused() {
            return Ok(());
        }
        while let Some((_, slot)) = self.timers.first().copied().filter(|(time, _)| *time <= now) {
            self.timers.pop_first();
            match &self.scopes.cell(slot)?.state {
                State::Backoff(next, _) => {
                    let next = next.clone();
                    match self.plan.node(slot.node).kind {
                        NodeKind::Wait(_) if next.part == Part::Work => self.begin_wait(slot, &next, turn)?,
                        NodeKind::Try(_) => {
                            let at = self.address(slot)?;
                            self.advance(Event::Woke { at }, turn)?;
                        }
                        // One that was held back: it is not tried twice.
                        _ if self.plan.node(slot.node).policy.durability == Durability::AtMostOnce
                            && next.part == Part::Work =>
                        {
                            self.make_again(slot, next, turn)?;
                        }
                        _ => self.run(slot, next, turn)?,
                    }
                }
                State::Waiting(tried, _) => {
                    let in_vain = self.waited_in_vain(slot, tried, now)?;
                    self.advance(in_vain, turn)?;
                }
                State::Awaiting(_, run, _) => {
                    turn.actions.push(Action::EndChild(*run, "it took longer than it may".to_owned()));
                }
                _ => {
                    let at = self.address(slot)?;
                    self.advance(Event::Woke { at }, turn)?;
                }
            }
        }
        self.wake_undo(now, turn)?;
        self.drain(turn)
    }
}
