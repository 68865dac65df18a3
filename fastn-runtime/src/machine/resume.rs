//! Going on: after a crash, and when a timer is due.

use fastn_core::plan::NodeKind;
use fastn_core::{Bond, Durability, Event, Failure, FailureKind, Part, Result, Timestamp};

use super::cell::{State, Try};
use super::children::given_up;
use super::slot::Slot;
use super::state::Machine;
use super::turn::{Action, Turn};

impl Machine {
    /// Goes on with a run whose executor died: attempts that were under way are made again. After
    /// [`Machine::replay`], once.
    ///
    /// * The attempt of an at-most-once step fails with [`FailureKind::OUTCOME_UNKNOWN`]: its `on_error` function, if it
    ///   has one, can find out what happened.
    /// * When the run is already ending, or a scope around the attempt is given up, only work that can be undone is made again, so that its effect, if it had one,
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
            let going = self.goes(slot.scope);
            if attempt.recorded {
                let (at, part, attempt) = (self.address(slot)?, attempt.part, attempt.attempt);
                let what = "its executor died while it ran; whether its effect took place is not known";
                let failure = Failure::new(FailureKind::OUTCOME_UNKNOWN, what).permanent().at(self.plan.path_at(&at));
                turn.follow.push_back(Event::Failed { at, part, attempt, failure, retry_at: None });
                continue;
            }
            self.running = self.running.saturating_sub(1);
            let policy = &self.plan.node(slot.node).policy;
            let at_most_once = policy.durability == Durability::AtMostOnce && attempt.part == Part::Work;
            // Whether it has started a run is not known, and one that is there must not be left behind.
            let own = |kind: &NodeKind| matches!(kind, NodeKind::Run(child) if child.bond == Bond::Own);
            let starts = attempt.part == Part::Work && own(&self.plan.node(slot.node).kind);
            // An at-most-once step whose start is not on record was never begun.
            if going || starts || (policy.undo.is_some() && !at_most_once) {
                if at_most_once {
                    let at = self.address(slot)?;
                    turn.follow.push_back(Event::Started { at, attempt: attempt.attempt });
                }
                self.run(slot, attempt, turn)?;
            } else {
                self.scopes.cell_mut(slot)?.state = State::Idle;
                self.let_go(slot.scope);
            }
        }
        // A run may die between its creation and the record of a sleep or a wait that it begins with.
        for slot in unslept {
            if !self.goes(slot.scope) {
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

    /// Does what is due at the turn's time: sleeps and waits end, retries begin, runs that take too long are cancelled.
    ///
    /// # Errors
    /// [`Corrupt`](fastn_core::ErrorKind::Corrupt), which is not expected.
    pub fn wake(&mut self, turn: &mut Turn) -> Result<()> {
        let now: Timestamp = turn.time;
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
