//! How a `race` goes: its arms begin together, and what becomes of each may decide it.

use fastn_core::plan::NodeKind;
use fastn_core::{Failure, FailureKind, Payload, Result};

use super::apply::{Agenda, Todo};
use super::cell::{Parent, State};
use super::contained::Why;
use super::race::{Entrant, Race};
use super::slot::Slot;
use super::state::{Machine, corrupt};
use super::turn::Turn;

impl Machine {
    /// Begins all arms of a race.
    pub(super) fn begin_race(&mut self, slot: Slot, todo: &mut Agenda) -> Result<()> {
        // Borrowed from the plan, and not from the machine that is changed.
        let plan = self.plan.clone();
        let NodeKind::Race { arms, join } = &plan.node(slot.node).kind else {
            return Err(corrupt("it is no race", slot.node));
        };
        let input = self.first_input(slot)?;
        let (mut entrants, mut inside) = (Vec::with_capacity(arms.len()), Vec::with_capacity(arms.len()));
        for (item, arm) in (0..).zip(arms) {
            let mut begin = Vec::new();
            let scope = self.open_scope(arm.scope, Some(Parent { slot, item }), input.clone(), &mut begin)?;
            entrants.push(Entrant::Open(scope));
            inside.push(begin);
        }
        // The list is worked through from its end; the first arm begins first.
        todo.next.extend(inside.into_iter().rev().flatten());
        self.scopes.cell_mut(slot)?.state = State::Race(Box::new(Race::new(entrants, *join)));
        Ok(())
    }

    fn race(&mut self, slot: Slot) -> Result<&mut Race> {
        match &mut self.scopes.cell_mut(slot)?.state {
            State::Race(race) => Ok(race),
            _ => Err(corrupt("it is no race", slot.node)),
        }
    }

    /// An arm has ended well.
    pub(super) fn arm_done(
        &mut self,
        slot: Slot,
        arm: u32,
        value: Payload,
        turn: &mut Turn,
        todo: &mut Agenda,
    ) -> Result<()> {
        let race = self.race(slot)?;
        let fits = race.takes(&value);
        if let Some(entrant) = race.arm(arm) {
            *entrant = Entrant::Arrived(value);
        }
        if !self.goes_in(slot.scope) {
            // What the others did is for the end of all of it to undo.
            return Ok(());
        }
        if let Err(failure) = fits {
            return self.fail(slot.scope, failure.at(self.path_of(slot.node)), turn);
        }
        self.drop_losers(slot, turn)?;
        self.finish_race(slot, turn, todo)
    }

    /// Arms have failed, which are being undone.
    pub(super) fn arm_failed(&mut self, slot: Slot, arm: u32, turn: &mut Turn) -> Result<()> {
        if let Some(entrant) = self.race(slot)?.arm(arm)
            && let Entrant::Open(scope) = *entrant
        {
            *entrant = Entrant::Failing(scope);
        }
        self.drop_losers(slot, turn)
    }

    /// Gives up the arms of which nothing is wanted any more.
    fn drop_losers(&mut self, slot: Slot, turn: &mut Turn) -> Result<()> {
        let race = self.race(slot)?;
        if !race.is_decided() {
            return Ok(());
        }
        for scope in race.lose() {
            self.unwind(scope, lost(), turn)?;
        }
        Ok(())
    }

    /// Nothing is left of an arm that did not end well.
    pub(super) fn arm_over(
        &mut self,
        slot: Slot,
        arm: u32,
        why: Why,
        turn: &mut Turn,
        todo: &mut Agenda,
    ) -> Result<()> {
        let Why::Failed(failure) = why else { return Err(corrupt("an arm has no finally", slot.node)) };
        if let Some(entrant) = self.race(slot)?.arm(arm) {
            *entrant = match entrant {
                Entrant::Failing(_) => Entrant::Failed(failure),
                _ => Entrant::Lost,
            };
        }
        self.finish_race(slot, turn, todo)
    }

    /// The node goes on once all arms are over.
    fn finish_race(&mut self, slot: Slot, turn: &mut Turn, todo: &mut Agenda) -> Result<()> {
        if !self.goes_in(slot.scope) || !self.race(slot)?.is_over() {
            return Ok(());
        }
        let plan = self.plan.clone();
        let arms = if let NodeKind::Race { arms, .. } = &plan.node(slot.node).kind { arms.as_slice() } else { &[] };
        match self.race(slot)?.result(arms.iter().map(|arm| arm.label.as_str()))? {
            Ok(value) => {
                todo.push(Todo::Complete(slot, value));
                Ok(())
            }
            Err(failure) => {
                self.scopes.cell_mut(slot)?.state = State::Failed;
                self.fail(slot.scope, failure.at(self.path_of(slot.node)), turn)
            }
        }
    }
}

/// What is told to those that lose, and to the runs that they have started.
fn lost() -> Failure {
    Failure::new(FailureKind::CANCELLED, "the race was decided without it")
}
