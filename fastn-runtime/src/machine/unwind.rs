//! How a scope that contains failure comes to its end when it does not simply end well.

use fastn_core::plan::{NodeIx, NodeKind};
use fastn_core::{Address, Attempt, Event, Failure, Part, Payload, Result, Timestamp};

use super::apply::Agenda;
use super::cell::{State, Try};
use super::contained::{Trying, Unwinding, Why};
use super::slot::{ScopeId, Slot};
use super::state::{Machine, Phase, corrupt};
use super::turn::{Action, Task, Turn};
use super::undo::{Current, Stack, again, take};

impl Machine {
    /// Begins what is next in scopes in which nothing is awaited any more: an undo, or their end.
    pub(super) fn settle_unwinding(&mut self, turn: &mut Turn) -> Result<()> {
        while let Some(id) = self.contained.as_deref_mut().and_then(|contained| contained.due.pop_first()) {
            let Some(unwinding) = self.unwinding(id) else { continue };
            if unwinding.open > 0 || unwinding.stack.current.is_some() {
                continue;
            }
            match unwinding.stack.done.last().map(|done| done.part) {
                Some(part) => self.run_undo(Some(id), Try::first(part, turn.time), turn)?,
                None => {
                    let over = self.over(id, turn)?;
                    turn.follow.push_back(over);
                }
            }
        }
        Ok(())
    }

    /// Whether there are such scopes.
    pub(super) fn is_unwinding(&self) -> bool {
        self.contained.as_deref().is_some_and(|contained| !contained.unwinding.is_empty())
    }

    /// The event that the end of a scope is.
    fn over(&self, id: ScopeId, turn: &Turn) -> Result<Event> {
        let scope = self.scopes.get(id)?;
        let number = self.plan.scope(scope.plan).owner.map_or(0, |(_, number)| number);
        let parent = scope.parent.ok_or_else(|| corrupt("it stands in nothing", NodeIx(0)))?;
        let node = self.plan.node(parent.slot.node);
        let at = self.address(parent.slot)?;
        let (which, mut retry_at) = (if let NodeKind::Each { .. } = node.kind { parent.item } else { number }, None);
        if let (NodeKind::Try(_), 0, Some(Unwinding { why: Why::Failed(failure), .. })) =
            (&node.kind, number, self.unwinding(id))
            && self.goes_in(parent.slot.scope)
        {
            let Trying { began, times } = self.trying(parent.slot)?;
            let attempt = Attempt(times.saturating_add(1));
            retry_at = node.policy.retry_at(attempt, failure, began, turn.time, turn.chance);
        }
        Ok(Event::Unwound { at, which, retry_at })
    }

    /// A scope is over.
    pub(super) fn unwound(
        &mut self,
        at: &Address,
        which: u32,
        retry_at: Option<Timestamp>,
        turn: &mut Turn,
    ) -> Result<()> {
        let slot = self.locate(at)?;
        let id = self.scope_of(slot, which).ok_or_else(|| corrupt("no such scope is open", at.node))?;
        let contained = self.contained();
        contained.due.remove(&id);
        let unwinding = contained.unwinding.remove(&id);
        let Unwinding { why, stack, .. } = unwinding.ok_or_else(|| corrupt("it did not unwind", at.node))?;
        if !stack.done.is_empty() {
            return Err(corrupt("something in it was left to undo", at.node));
        }
        self.discard(id)?;
        self.let_go(slot.scope);
        let mut todo = Agenda::default();
        match &self.plan.node(slot.node).kind {
            NodeKind::Race { .. } => self.arm_over(slot, which, why, turn, &mut todo)?,
            NodeKind::Each { .. } => self.item_over(slot, which, why, turn, &mut todo)?,
            _ => self.try_over(slot, which, why, retry_at, turn, &mut todo)?,
        }
        self.work_through(todo, turn)
    }

    /// Closes a scope with all that is open inside of it.
    fn discard(&mut self, id: ScopeId) -> Result<()> {
        let (inside, others) = self.open_inside(id)?;
        if others > 0 {
            return Err(corrupt("a scope inside of it unwinds still", NodeIx(0)));
        }
        for scope in inside {
            for node in self.plan.scope(self.scopes.get(scope)?.plan).nodes() {
                let slot = Slot { scope, node };
                match &self.scopes.cell(slot)?.state {
                    // Not made again after a death, which nothing records.
                    State::Running(_) => self.running = self.running.saturating_sub(1),
                    State::Awaiting(..) => return Err(corrupt("the end of a run is awaited still", node)),
                    State::Backoff(_, until) | State::Sleeping(until) => drop(self.timers.remove(&(*until, slot))),
                    State::Waiting(_, until) => {
                        if let Some(until) = until {
                            self.timers.remove(&(*until, slot));
                        }
                        if let NodeKind::Wait(signal) = &self.plan.node(node).kind {
                            self.signals.forget(&signal.name, slot);
                        }
                    }
                    _ => {}
                }
                match &self.plan.node(node).kind {
                    NodeKind::Repeat { .. } => drop(self.rounds.remove(&slot)),
                    NodeKind::Try(_) => drop(self.contained().tries.remove(&slot)),
                    _ => {}
                }
            }
            self.contained().done.remove(&scope);
            self.scopes.close(scope);
        }
        Ok(())
    }

    /// The stack that an undo or a `finally` belongs to: that of a scope that unwinds, or of the run.
    fn whose(&self, at: &Address, part: Part) -> Result<Option<ScopeId>> {
        let (around, slot) = self.unwinds_at(at)?;
        if let (Part::Finally, Some(slot)) = (part, slot)
            && let State::Arm(id) = self.scopes.cell(slot)?.state
            && let Some(Unwinding { why: Why::Ended(_), .. }) = self.unwinding(id)
        {
            return Ok(Some(id));
        }
        if around.is_none() && !matches!(self.phase, Phase::Ending { .. }) {
            return Err(corrupt("nothing was being undone", at.node));
        }
        Ok(around)
    }

    /// The same, if there is any.
    pub(super) fn stack_of(&self, at: &Address, part: Part) -> Option<&Stack> {
        match self.whose(at, part).ok()? {
            None => Some(&self.undo.run),
            Some(id) => Some(&self.unwinding(id)?.stack),
        }
    }

    fn stack(&mut self, whose: Option<ScopeId>) -> Option<&mut Stack> {
        match whose {
            None => Some(&mut self.undo.run),
            Some(id) => Some(&mut self.contained().unwinding.get_mut(&id)?.stack),
        }
    }

    /// Begins the undo that is next.
    pub(super) fn run_undo(&mut self, whose: Option<ScopeId>, attempt: Try, turn: &mut Turn) -> Result<()> {
        let Some(stack) = self.stack(whose) else { return Ok(()) };
        let Some(done) = stack.done.last() else { return Ok(()) };
        turn.actions.push(Action::Run(Task {
            at: done.at.clone(),
            part: done.part,
            attempt: attempt.attempt,
            began: attempt.began,
            args: vec![done.value.clone()],
            ahead: false,
        }));
        stack.current = Some(Current::Running(attempt));
        self.running += 1;
        Ok(())
    }

    /// Takes the present undo out, which has been answered.
    fn undo_answered(&mut self, at: &Address, part: Part) -> Result<(Option<ScopeId>, Option<Try>)> {
        let whose = self.whose(at, part)?;
        let stack = self.stack(whose).filter(|stack| stack.done.iter().any(|done| done.part == part));
        let stack = stack.ok_or_else(|| corrupt("it was not to be undone", at.node))?;
        if !stack.is_next(at, part) {
            return Err(corrupt("it was not next to be undone", at.node));
        }
        let current = stack.current.take();
        if let Some(id) = whose {
            self.contained().due.insert(id);
        }
        let tried = match current {
            Some(Current::Running(tried)) => {
                self.running = self.running.saturating_sub(1);
                Some(tried)
            }
            Some(Current::Backoff(tried, until)) => {
                if let Some(id) = whose {
                    self.contained().retries.remove(&(until, id));
                }
                Some(tried)
            }
            // In replay, where undos are not begun but only found done.
            None => None,
        };
        Ok((whose, tried))
    }

    pub(super) fn undone(&mut self, at: &Address, part: Part) -> Result<()> {
        let (whose, _) = self.undo_answered(at, part)?;
        self.stack(whose).and_then(|stack| stack.done.pop());
        Ok(())
    }

    pub(super) fn undo_failed(
        &mut self,
        at: &Address,
        (part, attempt): (Part, Attempt),
        failure: &Failure,
        retry_at: Option<Timestamp>,
    ) -> Result<()> {
        let (whose, tried) = self.undo_answered(at, part)?;
        let Some(stack) = self.stack(whose) else { return Ok(()) };
        if let Some(until) = retry_at {
            stack.current = Some(Current::Backoff(again(part, tried, attempt, until), until));
            if let Some(id) = whose {
                self.contained().retries.insert((until, id));
            }
            return Ok(());
        }
        // The others are undone all the same: one that is stuck must not keep them from it.
        stack.done.pop();
        match whose {
            Some(id) => self.left_undone(id, failure),
            None => {
                self.undo.stuck.push(failure.to_string());
                Ok(())
            }
        }
    }

    /// Something of a scope could not be undone, or its `finally` not be called.
    fn left_undone(&mut self, id: ScopeId, failure: &Failure) -> Result<()> {
        let parent = self.scopes.get(id)?.parent;
        let goes = parent.is_some_and(|parent| self.goes_in(parent.slot.scope));
        let around = parent.and_then(|parent| self.unwinds(parent.slot.scope));
        let reason = |unwinding: &Unwinding| match &unwinding.why {
            Why::Failed(because) => because.clone(),
            Why::Ended(_) => failure.clone(),
        };
        let around = around.and_then(|id| self.unwinding(id)).map(reason);
        let Some(unwinding) = self.contained().unwinding.get_mut(&id) else { return Ok(()) };
        let because = match &mut unwinding.why {
            // All else is well, so this is a failure like others.
            Why::Ended(ended) if goes => {
                *ended = Err(failure.clone());
                return Ok(());
            }
            Why::Ended(_) => around.unwrap_or_else(|| failure.clone()),
            Why::Failed(because) => because.clone(),
        };
        // No scope can contain it: the whole run ends, for the reason for which this was to be undone.
        self.undo.stuck.push(failure.to_string());
        self.end(false, because);
        Ok(())
    }

    /// Begins the retries of undos that are due.
    pub(super) fn wake_undo(&mut self, now: Timestamp, turn: &mut Turn) -> Result<()> {
        self.retry_undo(None, now, turn)?;
        while let Some((_, id)) = self
            .contained
            .as_deref()
            .and_then(|contained| contained.retries.first().copied().filter(|(until, _)| *until <= now))
        {
            self.contained().retries.pop_first();
            self.retry_undo(Some(id), now, turn)?;
        }
        Ok(())
    }

    fn retry_undo(&mut self, whose: Option<ScopeId>, now: Timestamp, turn: &mut Turn) -> Result<()> {
        let Some(stack) = self.stack(whose) else { return Ok(()) };
        match stack.current.take() {
            Some(Current::Backoff(next, until)) if until <= now => self.run_undo(whose, next, turn),
            other => {
                stack.current = other;
                Ok(())
            }
        }
    }

    /// A scope has given this, and what is to be called in the end is called before its node has it.
    pub(super) fn call_finally(&mut self, slot: Slot, id: ScopeId, value: Payload) -> Result<bool> {
        let at = self.address(slot)?;
        let around = self.scopes.get(slot.scope)?.within();
        let entry = match around {
            Some(around) => {
                let done = self.contained().done.get_mut(&around);
                done.and_then(|done| take(done, &at, Part::Finally))
            }
            None => self.undo.run.take(&at, Part::Finally),
        };
        let Some(entry) = entry else { return Ok(false) };
        let stack = Stack { done: vec![entry], current: None };
        let contained = self.contained();
        contained.unwinding.insert(id, Unwinding { why: Why::Ended(Ok(value)), open: 0, stack });
        contained.due.insert(id);
        Ok(true)
    }
}
