//! Loops: a body that is done again and again.

use fastn_core::plan::NodeKind;
use fastn_core::{Failure, FailureKind, Part, Payload, Result};

use super::apply::Agenda;
use super::cell::{Parent, State, Try};
use super::rounds::Round;
use super::slot::Slot;
use super::state::{Machine, corrupt};
use super::turn::Turn;

impl Machine {
    /// Begins a loop: its function says whether there is anything to do.
    pub(super) fn begin_rounds(&mut self, slot: Slot, ahead: bool, turn: &mut Turn) -> Result<()> {
        let value = self.first_input(slot)?;
        self.rounds.insert(slot, Round { done: 0, value });
        self.hand_out(slot, Try::first(Part::Work, turn.time), ahead, turn)
    }

    /// Its function has said that the body is to be done once more.
    pub(super) fn next_round(&mut self, slot: Slot, turn: &mut Turn) -> Result<()> {
        let NodeKind::Repeat { body, most } = self.plan.node(slot.node).kind else {
            return Err(corrupt("it repeats nothing", slot.node));
        };
        if !self.goes_in(slot.scope) {
            return Ok(());
        }
        let Round { done, value } = self.round(slot)?.clone();
        if done >= most {
            let what = format!("it was repeated {most} times, and was to be repeated once more");
            let failure = Failure::new(FailureKind::EXHAUSTED, what).permanent().at(self.path_of(slot.node));
            return self.failed(slot, Part::Work, &failure, turn);
        }
        let mut todo = Agenda::default();
        let scope = self.open_scope(body, Some(Parent { slot, item: done }), value, &mut todo.next)?;
        self.scopes.cell_mut(slot)?.state = State::Arm(scope);
        self.work_through(todo, turn)
    }

    /// The body was done and gave this.
    pub(super) fn round_done(&mut self, slot: Slot, value: Payload, turn: &mut Turn) -> Result<()> {
        let round = self.rounds.get_mut(&slot).ok_or_else(|| corrupt("it repeats nothing", slot.node))?;
        *round = Round { done: round.done.saturating_add(1), value };
        if !self.goes_in(slot.scope) {
            self.scopes.cell_mut(slot)?.state = State::Idle;
            return Ok(());
        }
        self.run(slot, Try::first(Part::Work, turn.time), turn)
    }

    pub(super) fn round(&self, slot: Slot) -> Result<&Round> {
        self.rounds.get(&slot).ok_or_else(|| corrupt("it repeats nothing", slot.node))
    }
}
