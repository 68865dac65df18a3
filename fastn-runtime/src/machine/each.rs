//! How the items of an `each` begin.

use fastn_core::plan::NodeKind;
use fastn_core::{Failure, FailureKind, Result, Timestamp};

use super::apply::{Agenda, Todo};
use super::cell::{Parent, State};
use super::contained::Why;
use super::items::Items;
use super::slot::Slot;
use super::state::{Machine, corrupt};
use super::turn::Turn;

impl Machine {
    /// Begins as many items as may be worked on at a time; completes the node when there are no more.
    pub(super) fn begin_items(&mut self, slot: Slot, ahead: bool, todo: &mut Agenda) -> Result<()> {
        if !self.goes_in(slot.scope) {
            return Ok(());
        }
        let concurrency = match &self.plan.node(slot.node).kind {
            NodeKind::Each { concurrency, .. } => *concurrency,
            _ => 1,
        };
        while self.items(slot)?.open < concurrency {
            if !self.begin_item(slot, ahead, todo)? {
                break;
            }
        }
        if self.items(slot)?.is_complete()
            && let State::Items(items) = std::mem::replace(&mut self.scopes.cell_mut(slot)?.state, State::Idle)
        {
            todo.push(Todo::Complete(slot, items.into_output()));
        }
        Ok(())
    }

    /// An item has failed for good: so has all of it, if those are too many.
    pub(super) fn item_failed(&mut self, slot: Slot, item: u32, failure: &Failure, turn: &mut Turn) -> Result<()> {
        let items = self.items(slot)?;
        if !items.one_fails() {
            return Ok(());
        }
        let (failed, tolerated) = items.failures();
        let what = format!("{failed} of its items failed, and {tolerated} may");
        let mut too_many = Failure::new(FailureKind::AGGREGATE, what).at(self.path_of(slot.node));
        too_many.chain = vec![format!("item {item}: {failure}")];
        too_many.chain.extend(failure.chain.iter().cloned());
        self.fail(slot.scope, too_many, turn)
    }

    /// Nothing is left of an item that has failed.
    pub(super) fn item_over(&mut self, slot: Slot, item: u32, why: Why, turn: &Turn, todo: &mut Agenda) -> Result<()> {
        let Why::Failed(failure) = why else { return Err(corrupt("an item has no finally", slot.node)) };
        self.items(slot)?.give_up(item, &failure)?;
        self.begin_items(slot, !turn.opened.contains(&slot), todo)
    }

    /// Begins items until this one has been begun: a journal written with a higher concurrency may name it early.
    pub(super) fn begin_up_to(&mut self, slot: Slot, item: u32) -> Result<()> {
        let mut todo = Agenda::default();
        let mut turn = Turn::new(Timestamp::EPOCH);
        while matches!(&self.scopes.cell(slot)?.state, State::Items(items) if items.begun() <= item) {
            if !self.begin_item(slot, false, &mut todo)? {
                break;
            }
            self.work_through(std::mem::take(&mut todo), &mut turn)?;
        }
        Ok(())
    }

    fn begin_item(&mut self, slot: Slot, ahead: bool, todo: &mut Agenda) -> Result<bool> {
        let NodeKind::Each { body, .. } = self.plan.node(slot.node).kind else { return Ok(false) };
        let items = self.items(slot)?;
        let item = items.begun();
        let Some(input) = items.next() else { return Ok(false) };
        let mut inside = Vec::new();
        let scope = self.open_scope(body, Some(Parent { slot, item }), input, &mut inside)?;
        self.items(slot)?.begin(scope);
        let begin = |todo| match todo {
            Todo::Enable(slot, _) => Todo::Enable(slot, ahead),
            other => other,
        };
        todo.items.extend(inside.into_iter().rev().map(begin));
        Ok(true)
    }

    fn items(&mut self, slot: Slot) -> Result<&mut Items> {
        match &mut self.scopes.cell_mut(slot)?.state {
            State::Items(items) => Ok(items),
            _ => Err(corrupt("its items are not being worked on", slot.node)),
        }
    }
}
