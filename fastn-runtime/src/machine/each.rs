//! How the items of an `each` begin.

use fastn_core::plan::NodeKind;
use fastn_core::{Result, Timestamp};

use super::apply::{Agenda, Todo};
use super::cell::{Parent, State};
use super::items::Items;
use super::slot::Slot;
use super::state::{Machine, Phase, corrupt};
use super::turn::Turn;

impl Machine {
    /// Begins as many items as may be worked on at a time; completes the node when there are no more.
    pub(super) fn begin_items(&mut self, slot: Slot, ahead: bool, todo: &mut Agenda) -> Result<()> {
        if !matches!(self.phase, Phase::Going) {
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
