//! How far a failure goes: to the innermost scope around it that contains failure, and otherwise to the whole run.

use fastn_core::plan::{NodeIx, NodeKind};
use fastn_core::{Bond, Failure, Part, Payload, Result};

use super::cell::State;
use super::contained::{Contained, Unwinding, Why};
use super::slot::{ScopeId, Slot};
use super::state::{Machine, Phase, corrupt};
use super::turn::{Action, AttemptId, Turn};
use super::undo::{Stack, merge};

impl Machine {
    /// Whether new work may begin in a scope.
    pub(super) fn goes_in(&self, scope: ScopeId) -> bool {
        matches!(self.phase, Phase::Going) && self.unwinds(scope).is_none()
    }

    /// The innermost scope around, or this one itself, in which nothing new begins.
    pub(super) fn unwinds(&self, scope: ScopeId) -> Option<ScopeId> {
        let unwinding = &self.contained.as_deref().filter(|contained| !contained.unwinding.is_empty())?.unwinding;
        let mut around = self.scopes.get(scope).ok()?.within();
        while let Some(id) = around {
            if unwinding.contains_key(&id) {
                return Some(id);
            }
            let parent = self.scopes.get(id).ok()?.parent?;
            around = self.scopes.get(parent.slot.scope).ok()?.within();
        }
        None
    }

    pub(super) fn unwinding(&self, id: ScopeId) -> Option<&Unwinding> {
        self.contained.as_deref()?.unwinding.get(&id)
    }

    pub(super) fn contained(&mut self) -> &mut Contained {
        self.contained.get_or_insert_default()
    }

    /// Something in a scope failed for good. The first reason stands.
    pub(super) fn fail(&mut self, scope: ScopeId, failure: Failure, turn: &mut Turn) -> Result<()> {
        if !self.goes_in(scope) {
            return Ok(());
        }
        let Some(id) = self.scopes.get(scope)?.within() else {
            self.end(false, failure);
            return Ok(());
        };
        let parent = self.scopes.get(id)?.parent.ok_or_else(|| corrupt("it stands in nothing", NodeIx(0)))?;
        self.unwind(id, failure.clone(), turn)?;
        match &self.plan.node(parent.slot.node).kind {
            NodeKind::Race { .. } => self.arm_failed(parent.slot, parent.item, turn),
            NodeKind::Each { .. } => self.item_failed(parent.slot, parent.item, &failure, turn),
            _ => Ok(()),
        }
    }

    /// From here on nothing new begins in a scope: what is under way is stopped, and what was done will be undone.
    pub(super) fn unwind(&mut self, id: ScopeId, failure: Failure, turn: &mut Turn) -> Result<()> {
        let (inside, mut open) = self.open_inside(id)?;
        let reason = format!("what it belongs to is given up: {failure}");
        let (mut stopped, mut done) = (Vec::new(), Vec::new());
        for scope in inside {
            merge(&mut done, self.contained().done.remove(&scope).unwrap_or_default());
            for node in self.plan.scope(self.scopes.get(scope)?.plan).nodes() {
                let slot = Slot { scope, node };
                match &self.scopes.cell(slot)?.state {
                    State::Running(tried) => {
                        open += 1;
                        let (part, attempt) = (tried.part, tried.attempt);
                        stopped.push(AttemptId { at: self.address(slot)?, part, attempt });
                    }
                    // Nobody is asked any more.
                    State::Doubted(tried) => {
                        open += 1;
                        turn.follow.push_back(self.unknown(self.address(slot)?, tried));
                    }
                    // It stays: an attempt that was begun from here is known to replay only when it is answered.
                    State::Backoff(_, until) => drop(self.timers.remove(&(*until, slot))),
                    State::Sleeping(until) => {
                        self.timers.remove(&(*until, slot));
                        self.scopes.cell_mut(slot)?.state = State::Idle;
                    }
                    State::Waiting(_, until) => {
                        if let Some(until) = until {
                            self.timers.remove(&(*until, slot));
                        }
                        if let NodeKind::Wait(signal) = &self.plan.node(node).kind {
                            self.signals.forget(&signal.name, slot);
                        }
                        self.scopes.cell_mut(slot)?.state = State::Idle;
                    }
                    State::Awaiting(_, run, until) => {
                        if let Some(until) = until {
                            self.timers.remove(&(*until, slot));
                        }
                        if self.bond(node) == Some(Bond::Leave) {
                            self.awaited.remove(run);
                            self.scopes.cell_mut(slot)?.state = State::Idle;
                        } else {
                            open += 1;
                            turn.actions.push(Action::EndChild(*run, reason.clone()));
                        }
                    }
                    _ => {}
                }
            }
        }
        if !stopped.is_empty() {
            turn.actions.push(Action::Abort(stopped));
        }
        let stack = Stack { done, current: None };
        let contained = self.contained();
        contained.unwinding.insert(id, Unwinding { why: Why::Failed(failure), open, stack });
        contained.due.insert(id);
        Ok(())
    }

    /// The open scopes inside of one, itself among them, and how many more unwind already: those are awaited as they are.
    pub(super) fn open_inside(&self, id: ScopeId) -> Result<(Vec<ScopeId>, u32)> {
        let (mut inside, mut others, mut place) = (vec![id], 0, 0);
        while let Some(scope) = inside.get(place).copied() {
            place += 1;
            for (_, cell) in self.scopes.get(scope)?.cells() {
                for inner in cell.state.scopes() {
                    match self.unwinding(inner) {
                        Some(_) => others += 1,
                        None => inside.push(inner),
                    }
                }
            }
        }
        Ok((inside, others))
    }

    /// What is under way in a scope has one thing less.
    pub(super) fn let_go(&mut self, scope: ScopeId) {
        if let Some(id) = self.unwinds(scope) {
            self.contained().let_go(id);
        }
    }

    /// Keeps what a node did, or has begun, to be undone or called if what it stands in does not end well.
    pub(super) fn remember(&mut self, slot: Slot, part: Part, value: Payload) -> Result<()> {
        let at = self.address(slot)?;
        let done = self.undo.next(at, part, value);
        if let Some(id) = self.unwinds(slot.scope)
            && let Some(unwinding) = self.contained().unwinding.get_mut(&id)
        {
            unwinding.stack.remember(done);
            return Ok(());
        }
        match self.scopes.get(slot.scope)?.within() {
            // What is answered when the run is ending is for its end to undo, wherever it is.
            Some(id) if !matches!(self.phase, Phase::Ending { .. }) => {
                self.contained().done.entry(id).or_default().push(done);
            }
            _ => self.undo.run.remember(done),
        }
        Ok(())
    }

    /// A scope has ended well: what was done in it is for the scope around it to undo.
    pub(super) fn hand_over(&mut self, id: ScopeId, to: ScopeId) -> Result<()> {
        let Some(done) = self.contained.as_deref_mut().and_then(|contained| contained.done.remove(&id)) else {
            return Ok(());
        };
        match self.scopes.get(to)?.within() {
            Some(around) => merge(self.contained().done.entry(around).or_default(), done),
            None => merge(&mut self.undo.run.done, done),
        }
        Ok(())
    }

    /// The whole run does not end well: what was done in scopes that do not unwind by themselves is for its end to undo.
    pub(super) fn gather(&mut self) {
        if let Some(contained) = self.contained.as_deref_mut() {
            for done in std::mem::take(&mut contained.done).into_values() {
                merge(&mut self.undo.run.done, done);
            }
        }
    }
}
