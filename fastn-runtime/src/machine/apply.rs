//! The one place where a run's state changes.

use std::collections::VecDeque;

use fastn_core::plan::{NodeIx, NodeKind, ScopeIx};
use fastn_core::{Attempt, Durability, Event, Failure, FailureKind, Outcome, Part, Payload, Record, Result};

use super::cell::{Parent, State, Try};
use super::items::Items;
use super::list::List;
use super::slot::{ScopeId, Slot};
use super::state::{Machine, Phase, ROOT, corrupt};
use super::turn::{Action, Task, Turn};

/// A thing still to be done of an event.
pub(super) enum Todo {
    /// With whether it is the begin of an item that does not follow from what this turn records.
    Enable(Slot, bool),
    Complete(Slot, Payload),
    Close(ScopeId),
}

/// What is still to be done of an event. Lists instead of recursion: a chain of empty lists may be as long as the plan.
#[derive(Default)]
pub(super) struct Agenda {
    /// Worked on first, from its end.
    pub(super) next: Vec<Todo>,
    /// What is ready in the scopes of items, from the front: comes after what follows from what is done, so that items
    /// begin in their order.
    pub(super) items: VecDeque<Todo>,
}

impl Agenda {
    pub(super) fn of(first: Todo) -> Self {
        Self { next: vec![first], items: VecDeque::new() }
    }

    pub(super) fn push(&mut self, todo: Todo) {
        self.next.push(todo);
    }

    fn pop(&mut self) -> Option<Todo> {
        self.next.pop().or_else(|| self.items.pop_front())
    }
}

impl Machine {
    /// Applies an event that just happened, and what follows from it.
    ///
    /// # Errors
    /// [`Corrupt`](fastn_core::ErrorKind::Corrupt) if the event cannot happen in this state.
    pub fn advance(&mut self, event: Event, turn: &mut Turn) -> Result<()> {
        self.record(event, turn)?;
        self.drain(turn)
    }

    fn record(&mut self, event: Event, turn: &mut Turn) -> Result<()> {
        self.apply(&event, turn)?;
        // One is what most turns have.
        turn.records.reserve_exact(usize::from(turn.records.capacity() == 0));
        turn.records.push(Record { time: turn.time, event });
        Ok(())
    }

    /// Applies the events that follow from what was applied, until there are none.
    pub(super) fn drain(&mut self, turn: &mut Turn) -> Result<()> {
        loop {
            while let Some(event) = turn.follow.pop_front() {
                self.record(event, turn)?;
            }
            self.settle(turn)?;
            if turn.follow.is_empty() {
                return Ok(());
            }
        }
    }

    /// Applies an event to the state. Actions and following events go into the turn.
    pub(super) fn apply(&mut self, event: &Event, turn: &mut Turn) -> Result<()> {
        if let Phase::Over(_) = self.phase {
            return Err(corrupt("the run is over", NodeIx(0)));
        }
        match event {
            Event::Succeeded { at, part: part @ (Part::Undo | Part::Finally), .. } => self.undone(at, *part),
            Event::Failed { at, part: part @ (Part::Undo | Part::Finally), attempt, failure, retry_at } => {
                self.undo_failed(at, (*part, *attempt), failure, *retry_at)
            }
            Event::Unwound { at, which, retry_at } => self.unwound(at, *which, *retry_at, turn),
            Event::Started { at, attempt } => {
                let slot = self.locate(at)?;
                let cell = self.scopes.cell_mut(slot)?;
                match &mut cell.state {
                    State::Running(running) if running.attempt == *attempt => running.recorded = true,
                    // Nothing is recorded when a wait for a retry ends, so replay comes here straight from it.
                    State::Backoff(next, until) if next.attempt == *attempt => {
                        self.timers.remove(&(*until, slot));
                        let next = Try { recorded: true, ..next.clone() };
                        cell.state = State::Running(next);
                        self.running += 1;
                    }
                    _ => return Err(corrupt("it was not about to start", at.node)),
                }
                Ok(())
            }
            Event::Succeeded { at, part, attempt, output } => {
                let slot = self.locate(at)?;
                self.answered(slot, *part, *attempt)?;
                match &self.plan.node(slot.node).kind {
                    NodeKind::When(arms) if *part == Part::Work => {
                        let arm: usize = output.decode()?;
                        let arm = arms.get(arm).ok_or_else(|| corrupt("there is no such arm", at.node))?.scope;
                        self.open_arm(slot, arm, turn)
                    }
                    NodeKind::Repeat { .. } if *part == Part::Work => match output.decode()? {
                        true => self.next_round(slot, turn),
                        false => {
                            let value = self.round(slot)?.value.clone();
                            self.work_through(Agenda::of(Todo::Complete(slot, value)), turn)
                        }
                    },
                    _ => self.work_through(Agenda::of(Todo::Complete(slot, output.clone())), turn),
                }
            }
            Event::Failed { at, part, attempt, failure, retry_at } => {
                let slot = self.locate(at)?;
                let tried = self.answered(slot, *part, *attempt)?;
                if let Some(until) = retry_at.as_ref().filter(|_| self.unwinds(slot.scope).is_none()) {
                    self.timers.insert((*until, slot));
                    let next = Try { attempt: attempt.next(), recorded: false, ..tried };
                    self.scopes.cell_mut(slot)?.state = State::Backoff(next, *until);
                    return Ok(());
                }
                self.failed(slot, *part, failure, turn)
            }
            Event::Sleeping { at, until } => {
                let slot = self.locate(at)?;
                let sleeps = matches!(self.plan.node(slot.node).kind, NodeKind::Sleep(_));
                let unwinds = self.unwinds(slot.scope).is_some();
                match self.scopes.cell_mut(slot)? {
                    cell if sleeps && cell.waits_for == 0 && matches!(cell.state, State::Idle) => {
                        // Nothing comes of it any more.
                        if unwinds {
                            return Ok(());
                        }
                        cell.state = State::Sleeping(*until);
                    }
                    _ => return Err(corrupt("it was not about to sleep", at.node)),
                }
                self.timers.insert((*until, slot));
                Ok(())
            }
            Event::Woke { at } => {
                let slot = self.locate(at)?;
                let (until, again) = match &self.scopes.cell(slot)?.state {
                    State::Sleeping(until) => (*until, false),
                    State::Backoff(_, until) => (*until, matches!(self.plan.node(slot.node).kind, NodeKind::Try(_))),
                    _ => return Err(corrupt("it was not asleep", at.node)),
                };
                self.timers.remove(&(until, slot));
                if again {
                    return self.try_again(slot, turn);
                }
                let value = self.first_input(slot)?;
                self.work_through(Agenda::of(Todo::Complete(slot, value)), turn)
            }
            Event::Waiting { at, attempt, until } => self.waiting(at, *attempt, *until, turn),
            Event::Signalled { id, signal, value, .. } => self.signalled(*id, signal, value, turn),
            Event::Child { at, attempt, run, until } => self.child_started(at, *attempt, *run, *until, turn),
            Event::CancelRequested { reason, .. } => {
                self.end(true, Failure::new(FailureKind::CANCELLED, reason.clone()));
                turn.actions.push(Action::AbortAll);
                self.lift_pause(turn)
            }
            Event::Paused { id, by } => self.begin_pause(*id, by, turn.time),
            Event::Resumed { id, .. } => self.end_pause(*id, turn),
            Event::Doubted { at, attempt } => self.doubted(at, *attempt),
            Event::Decided { id, at, part, attempt, decision, .. } => {
                self.decided(*id, (at, *part, *attempt), decision, turn)
            }
            Event::Expired => {
                self.end(false, Failure::new(FailureKind::TIMEOUT, "the run's deadline passed"));
                turn.actions.push(Action::AbortAll);
                Ok(())
            }
            Event::Finished { outcome } => {
                let fits = match outcome {
                    Outcome::Succeeded(_) => matches!(self.phase, Phase::Complete(_)),
                    // It may be given up wherever it stands.
                    Outcome::Stuck(failure) if failure.kind == FailureKind::POISON => true,
                    _ => matches!(self.phase, Phase::Ending { .. }),
                };
                if !fits {
                    return Err(corrupt("the run was not about to end like this", NodeIx(0)));
                }
                if matches!(outcome, Outcome::Stuck(failure) if failure.kind == FailureKind::POISON) {
                    self.abandon_children(turn);
                }
                self.phase = Phase::Over(outcome.clone());
                Ok(())
            }
            _ => Err(corrupt("an event of a later version", NodeIx(0))),
        }
    }

    /// Takes an attempt out of a node that has been answered.
    pub(super) fn answered(&mut self, slot: Slot, part: Part, attempt: Attempt) -> Result<Try> {
        let cell = self.scopes.cell_mut(slot)?;
        match std::mem::replace(&mut cell.state, State::Idle) {
            State::Running(tried) if (tried.part, tried.attempt) == (part, attempt) => {
                self.running = self.running.saturating_sub(1);
                self.let_go(slot.scope);
                Ok(tried)
            }
            // Nothing is recorded when a wait for a retry ends, so replay comes here straight from it.
            State::Backoff(tried, until) if (tried.part, tried.attempt) == (part, attempt) => {
                self.timers.remove(&(until, slot));
                Ok(tried)
            }
            State::Waiting(tried, until) if (tried.part, tried.attempt) == (part, attempt) => {
                if let Some(until) = until {
                    self.timers.remove(&(until, slot));
                }
                if let NodeKind::Wait(signal) = &self.plan.node(slot.node).kind {
                    self.signals.forget(&signal.name, slot);
                }
                Ok(tried)
            }
            State::Awaiting(tried, run, until) if (tried.part, tried.attempt) == (part, attempt) => {
                if let Some(until) = until {
                    self.timers.remove(&(until, slot));
                }
                self.awaited.remove(&run);
                self.let_go(slot.scope);
                Ok(tried)
            }
            State::Doubted(tried) if (tried.part, tried.attempt) == (part, attempt) => {
                let hand = self.by_hand();
                hand.doubts = hand.doubts.saturating_sub(1);
                self.let_go(slot.scope);
                Ok(tried)
            }
            other => {
                cell.state = other;
                Err(corrupt("no such attempt was under way", slot.node))
            }
        }
    }

    /// A function of a node failed for good.
    pub(super) fn failed(&mut self, slot: Slot, part: Part, failure: &Failure, turn: &mut Turn) -> Result<()> {
        let node = self.plan.node(slot.node);
        if part == Part::Work && node.policy.on_error && self.goes_in(slot.scope) {
            let mut takes_over = Try::first(Part::OnError, turn.time);
            takes_over.failure = Some(Box::new(failure.clone()));
            return self.run(slot, takes_over, turn);
        }
        self.scopes.cell_mut(slot)?.state = State::Failed;
        self.fail(slot.scope, failure.clone(), turn)
    }

    /// Hands out an attempt.
    pub(super) fn run(&mut self, slot: Slot, attempt: Try, turn: &mut Turn) -> Result<()> {
        self.hand_out(slot, attempt, false, turn)
    }

    pub(super) fn hand_out(&mut self, slot: Slot, attempt: Try, ahead: bool, turn: &mut Turn) -> Result<()> {
        if self.is_paused() {
            return self.hold_back(slot, attempt, turn.time);
        }
        turn.actions.reserve_exact(usize::from(turn.actions.capacity() == 0));
        turn.actions.push(Action::Run(Task { ahead, ..self.task(slot, &attempt)? }));
        self.scopes.cell_mut(slot)?.state = State::Running(attempt);
        self.running += 1;
        Ok(())
    }

    /// Opens the scope of the whole workflow.
    pub(super) fn open_root(&mut self, input: Payload, turn: &mut Turn) -> Result<()> {
        let mut todo = Agenda::default();
        self.open_scope(ROOT, None, input, &mut todo.next)?;
        self.work_through(todo, turn)
    }

    fn open_arm(&mut self, slot: Slot, arm: ScopeIx, turn: &mut Turn) -> Result<()> {
        if !self.goes_in(slot.scope) {
            return Ok(());
        }
        let mut todo = Agenda::default();
        let input = self.first_input(slot)?;
        let scope = self.open_scope(arm, Some(Parent { slot, item: 0 }), input, &mut todo.next)?;
        self.scopes.cell_mut(slot)?.state = State::Arm(scope);
        self.work_through(todo, turn)
    }

    pub(super) fn open_scope(
        &mut self,
        ix: ScopeIx,
        parent: Option<Parent>,
        input: Payload,
        todo: &mut Vec<Todo>,
    ) -> Result<ScopeId> {
        let scope = self.scopes.open(&self.plan, ix, parent, input);
        let state = self.scopes.get(scope)?;
        if state.remaining == 0 {
            todo.push(Todo::Close(scope));
        }
        let ready = state.cells().filter(|(_, cell)| cell.waits_for == 0);
        // The list is worked through from its end; this keeps the order of the plan.
        let first = todo.len();
        todo.extend(ready.map(|(node, _)| Todo::Enable(Slot { scope, node }, false)));
        if let Some(added) = todo.get_mut(first..) {
            added.reverse();
        }
        Ok(scope)
    }

    pub(super) fn work_through(&mut self, mut todo: Agenda, turn: &mut Turn) -> Result<()> {
        while let Some(next) = todo.pop() {
            match next {
                Todo::Enable(slot, ahead) => self.enable(slot, ahead, turn, &mut todo)?,
                Todo::Complete(slot, output) => self.complete(slot, output, &mut todo.next)?,
                Todo::Close(scope) => self.close(scope, turn, &mut todo)?,
            }
        }
        Ok(())
    }

    /// Everything a node waited for is done.
    fn enable(&mut self, slot: Slot, ahead: bool, turn: &mut Turn, todo: &mut Agenda) -> Result<()> {
        if !self.goes_in(slot.scope) {
            return Ok(());
        }
        let node = self.plan.node(slot.node);
        match &node.kind {
            NodeKind::Sleep(span) => {
                let until = turn.time.plus(*span);
                turn.follow.push_back(Event::Sleeping { at: self.address(slot)?, until });
                Ok(())
            }
            NodeKind::Each { tolerance, .. } => match List::new(&self.first_input(slot)?) {
                Ok(list) => {
                    let items = Items::new(list, *tolerance);
                    self.scopes.cell_mut(slot)?.state = State::Items(Box::new(items));
                    turn.opened.push(slot);
                    self.begin_items(slot, ahead, todo)
                }
                Err(failure) => {
                    self.scopes.cell_mut(slot)?.state = State::Failed;
                    self.fail(slot.scope, failure.at(self.path_of(slot.node)), turn)
                }
            },
            NodeKind::Try(_) => self.begin_try(slot, turn, todo),
            NodeKind::Race { .. } => self.begin_race(slot, todo),
            NodeKind::Fail(kind) => {
                let failure = on_purpose(kind.clone(), &self.first_input(slot)?).at(self.path_of(slot.node));
                self.failed(slot, Part::Work, &failure, turn)
            }
            NodeKind::Wait(_) => self.begin_wait(slot, &Try::first(Part::Work, turn.time), turn),
            NodeKind::Repeat { .. } => self.begin_rounds(slot, ahead, turn),
            _ => {
                if node.policy.durability == Durability::AtMostOnce && !self.is_paused() {
                    let at = self.address(slot)?;
                    turn.follow.push_back(Event::Started { at, attempt: Attempt::FIRST });
                }
                let ahead = ahead && node.policy.durability != Durability::AtMostOnce;
                self.hand_out(slot, Try::first(Part::Work, turn.time), ahead, turn)
            }
        }
    }

    /// A node is done: those that waited for it may go on.
    fn complete(&mut self, slot: Slot, output: Payload, todo: &mut Vec<Todo>) -> Result<()> {
        if self.plan.node(slot.node).policy.undo.is_some() {
            self.remember(slot, Part::Undo, output.clone())?;
        }
        // Borrowed and not cloned: all runs of the plan share the count.
        let plan = &*self.plan;
        let node = plan.node(slot.node);
        if let NodeKind::Repeat { .. } = node.kind {
            self.rounds.remove(&slot);
        }
        let scope = self.scopes.get_mut(slot.scope)?;
        for source in &node.inputs {
            scope.release(source)?;
        }
        let cell = scope.cell_mut(slot.node)?;
        cell.state = State::Done;
        if cell.readers > 0 {
            cell.output = Some(output);
        }
        let first = todo.len();
        for successor in plan.successors(slot.node) {
            let cell = scope.cell_mut(successor)?;
            cell.waits_for = cell.waits_for.saturating_sub(1);
            if cell.waits_for == 0 {
                todo.push(Todo::Enable(Slot { scope: slot.scope, node: successor }, false));
            }
        }
        if let Some(added) = todo.get_mut(first..) {
            added.reverse();
        }
        scope.remaining = scope.remaining.saturating_sub(1);
        if scope.remaining == 0 {
            todo.push(Todo::Close(slot.scope));
        }
        Ok(())
    }

    /// Every node of a scope is done: the node it stands in goes on.
    fn close(&mut self, id: ScopeId, turn: &mut Turn, todo: &mut Agenda) -> Result<()> {
        let scope = self.scopes.get(id)?;
        let output = scope.value(&self.plan.scope(scope.plan).output)?;
        let Some(parent) = scope.parent else {
            if matches!(self.phase, Phase::Going) {
                self.phase = Phase::Complete(output);
            }
            return Ok(());
        };
        if self.unwinds(id).is_some() {
            // Nobody wants what it gives any more; it stays until what was done of it is undone.
            return Ok(());
        }
        self.hand_over(id, parent.slot.scope)?;
        match self.plan.node(parent.slot.node).kind {
            NodeKind::Try(_) => return self.part_done(parent.slot, id, output, todo),
            NodeKind::Race { .. } => {
                self.scopes.close(id);
                return self.arm_done(parent.slot, parent.item, output, turn, todo);
            }
            _ => {}
        }
        self.scopes.close(id);
        match &mut self.scopes.cell_mut(parent.slot)?.state {
            State::Items(items) => match items.finish(parent.item, output) {
                // What the items are was recorded long ago, unless the list is as new as this turn.
                Ok(()) => self.begin_items(parent.slot, !turn.opened.contains(&parent.slot), todo),
                Err(failure) => self.fail(parent.slot.scope, failure.at(self.path_of(parent.slot.node)), turn),
            },
            _ if matches!(self.plan.node(parent.slot.node).kind, NodeKind::Repeat { .. }) => {
                self.round_done(parent.slot, output, turn)
            }
            _ => {
                todo.push(Todo::Complete(parent.slot, output));
                Ok(())
            }
        }
    }
}

/// The failure of a node that fails on purpose: what it was given is the message.
fn on_purpose(kind: FailureKind, message: &Payload) -> Failure {
    let text = message.decode::<String>();
    Failure::new(kind, text.unwrap_or_else(|_| String::from_utf8_lossy(message.bytes()).into_owned()))
}
