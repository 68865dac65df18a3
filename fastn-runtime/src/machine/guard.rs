//! A `try`: a body, what takes over when it fails, and what is called in the end.

use fastn_core::plan::{Guarded, NodeKind, ScopeIx};
use fastn_core::{Attempt, ContentType, Failure, FailureKind, Part, Payload, Result, Timestamp};

use super::apply::{Agenda, Todo};
use super::cell::{Parent, State, Try};
use super::contained::{Trying, Why};
use super::slot::{ScopeId, Slot};
use super::state::{Machine, corrupt};
use super::turn::Turn;

impl Machine {
    /// Begins a `try`. From here on it is certain that its `finally` will be called.
    pub(super) fn begin_try(&mut self, slot: Slot, turn: &Turn, todo: &mut Agenda) -> Result<()> {
        let input = self.first_input(slot)?;
        if self.guarded(slot)?.finally.is_some() {
            self.remember(slot, Part::Finally, input)?;
        }
        self.contained().tries.insert(slot, Trying { began: turn.time, times: 0 });
        self.open_body(slot, todo)
    }

    pub(super) fn trying(&self, slot: Slot) -> Result<Trying> {
        let trying = self.contained.as_deref().and_then(|contained| contained.tries.get(&slot));
        trying.copied().ok_or_else(|| corrupt("it tries nothing", slot.node))
    }

    fn guarded(&self, slot: Slot) -> Result<&Guarded> {
        match &self.plan.node(slot.node).kind {
            NodeKind::Try(guarded) => Ok(guarded),
            _ => Err(corrupt("it tries nothing", slot.node)),
        }
    }

    fn open_body(&mut self, slot: Slot, todo: &mut Agenda) -> Result<()> {
        let (body, input) = (self.guarded(slot)?.body, self.first_input(slot)?);
        let times = self.trying(slot)?.times;
        self.open_part(slot, body, times, input, todo)
    }

    fn open_part(&mut self, slot: Slot, ix: ScopeIx, item: u32, input: Payload, todo: &mut Agenda) -> Result<()> {
        let scope = self.open_scope(ix, Some(Parent { slot, item }), input, &mut todo.next)?;
        self.scopes.cell_mut(slot)?.state = State::Arm(scope);
        Ok(())
    }

    /// The wait for doing the body once more is over.
    pub(super) fn try_again(&mut self, slot: Slot, turn: &mut Turn) -> Result<()> {
        if !self.goes_in(slot.scope) {
            self.scopes.cell_mut(slot)?.state = State::Idle;
            return Ok(());
        }
        let mut todo = Agenda::default();
        self.open_body(slot, &mut todo)?;
        self.work_through(todo, turn)
    }

    /// The body or a handler has ended well.
    pub(super) fn part_done(&mut self, slot: Slot, id: ScopeId, value: Payload, todo: &mut Agenda) -> Result<()> {
        if !self.goes_in(slot.scope) {
            // Its `finally` is among what the end of all of it has to call.
            self.scopes.close(id);
            self.scopes.cell_mut(slot)?.state = State::Idle;
            return Ok(());
        }
        if self.guarded(slot)?.finally.is_some() && self.call_finally(slot, id, value.clone())? {
            return Ok(());
        }
        self.scopes.close(id);
        self.contained().tries.remove(&slot);
        todo.push(Todo::Complete(slot, value));
        Ok(())
    }

    /// The body has failed and nothing is left of it, or what is called in the end was called.
    pub(super) fn try_over(
        &mut self,
        slot: Slot,
        which: u32,
        why: Why,
        retry_at: Option<Timestamp>,
        turn: &mut Turn,
        todo: &mut Agenda,
    ) -> Result<()> {
        self.scopes.cell_mut(slot)?.state = State::Idle;
        if !self.goes_in(slot.scope) {
            return Ok(());
        }
        let failure = match (why, retry_at) {
            (Why::Ended(Ok(value)), _) => {
                self.contained().tries.remove(&slot);
                todo.push(Todo::Complete(slot, value));
                return Ok(());
            }
            (Why::Failed(_), Some(until)) if which == 0 => {
                let Trying { began, times } = self.trying(slot)?;
                let times = times.saturating_add(1);
                self.contained().tries.insert(slot, Trying { began, times });
                let next = Try { attempt: Attempt(times.saturating_add(1)), ..Try::first(Part::Work, began) };
                self.scopes.cell_mut(slot)?.state = State::Backoff(next, until);
                self.timers.insert((until, slot));
                return Ok(());
            }
            (Why::Failed(failure), _) if which == 0 => {
                let handler = self.guarded(slot)?.handlers.iter().find(|handler| handler.takes(&failure.kind));
                let Some(handler) = handler.map(|handler| handler.scope) else {
                    return self.give_up(slot, failure, turn);
                };
                match told(&failure, &self.first_input(slot)?)? {
                    Ok(input) => return self.open_part(slot, handler, 0, input, todo),
                    Err(failure) => failure.at(self.path_of(slot.node)),
                }
            }
            (Why::Failed(failure) | Why::Ended(Err(failure)), _) => failure,
        };
        self.give_up(slot, failure, turn)
    }

    /// Its failure is that of what it stands in.
    fn give_up(&mut self, slot: Slot, failure: Failure, turn: &mut Turn) -> Result<()> {
        self.contained().tries.remove(&slot);
        self.scopes.cell_mut(slot)?.state = State::Failed;
        self.fail(slot.scope, failure, turn)
    }
}

/// What a handler is told: the failure and the input, as a list of two.
fn told(failure: &Failure, input: &Payload) -> Result<std::result::Result<Payload, Failure>> {
    if *input.content() != ContentType::Json {
        let what = format!("its input is {}, which cannot stand beside a failure in a list", input.content().as_str());
        return Ok(Err(Failure::new(FailureKind::INVALID, what).permanent()));
    }
    let failure = Payload::encode(failure)?;
    let text = [b"[", &**failure.bytes(), b",", &**input.bytes(), b"]"].concat();
    Ok(Ok(Payload::json(text)))
}
