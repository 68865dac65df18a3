//! Signals that a run was told, and the nodes that wait for them.
//!
//! What is recorded is that a wait began and that a signal came; who gets which value follows from the order of the two.

use fastn_core::plan::{NodeIx, NodeKind};
use fastn_core::{Address, Attempt, By, Event, Failure, FailureKind, Part, Payload, Result, Take, Timestamp};

use super::apply::{Agenda, Todo};
use super::cell::{State, Try};
use super::slot::Slot;
use super::state::{Machine, Phase, corrupt};
use super::turn::Turn;

impl Machine {
    /// What a signal is now: an event, or nothing if the run was told of it before, if it means nothing any more, or if no
    /// node of the plan waits for it.
    pub fn signal(&self, id: [u8; 16], signal: &str, value: &Payload) -> Option<Event> {
        self.signal_by(id, signal, value, None)
    }

    /// As [`Machine::signal`], with who tells it and why.
    pub fn signal_by(&self, id: [u8; 16], signal: &str, value: &Payload, by: Option<&By>) -> Option<Event> {
        let take = *self.plan.signals().get(signal)?;
        if !matches!(self.phase, Phase::Going) || self.signals.has_heard(&id) {
            return None;
        }
        if take == Take::First && self.signals.has_value(signal) {
            return None;
        }
        Some(Event::Signalled { id, signal: signal.to_owned(), value: value.clone(), by: by.cloned().map(Box::new) })
    }

    /// Whether the run was told a signal of this id.
    pub fn has_heard(&self, id: &[u8; 16]) -> bool {
        self.signals.has_heard(id)
    }

    /// Begins a wait; it is recorded before anything comes of it.
    pub(super) fn begin_wait(&self, slot: Slot, tried: &Try, turn: &mut Turn) -> Result<()> {
        let policy = &self.plan.node(slot.node).policy;
        let until = policy.time_left(tried.began, turn.time).map(|left| turn.time.plus(left));
        turn.follow.push_back(Event::Waiting { at: self.address(slot)?, attempt: tried.attempt, until });
        Ok(())
    }

    /// A wait began.
    pub(super) fn waiting(
        &mut self,
        at: &Address,
        attempt: Attempt,
        until: Option<Timestamp>,
        turn: &mut Turn,
    ) -> Result<()> {
        let slot = self.locate(at)?;
        // Borrowed from the plan, and not from the machine that is changed.
        let plan = self.plan.clone();
        let NodeKind::Wait(signal) = &plan.node(slot.node).kind else {
            return Err(corrupt("it waits for no signal", at.node));
        };
        let cell = self.scopes.cell_mut(slot)?;
        let tried = match &cell.state {
            State::Idle if cell.waits_for == 0 && attempt == Attempt::FIRST => Try::first(Part::Work, turn.time),
            State::Backoff(next, due) if next.part == Part::Work && next.attempt == attempt => {
                let next = next.clone();
                self.timers.remove(&(*due, slot));
                next
            }
            _ => return Err(corrupt("it was not about to wait", at.node)),
        };
        if !self.goes_in(slot.scope) {
            self.scopes.cell_mut(slot)?.state = State::Idle;
            return Ok(());
        }
        if let Some(value) = self.signals.take(&signal.name, signal.take) {
            return self.work_through(Agenda::of(Todo::Complete(slot, value)), turn);
        }
        self.scopes.cell_mut(slot)?.state = State::Waiting(tried, until);
        self.signals.inbox(&signal.name).waiting.push_back(slot);
        if let Some(until) = until {
            self.timers.insert((until, slot));
        }
        Ok(())
    }

    /// The run was told a signal.
    pub(super) fn signalled(&mut self, id: [u8; 16], signal: &str, value: &Payload, turn: &mut Turn) -> Result<()> {
        let known = |what| corrupt(what, NodeIx(0));
        let take =
            *self.plan.signals().get(signal).ok_or_else(|| known("nothing in the plan waits for this signal"))?;
        if !self.signals.hear(id) {
            return Err(known("a signal was told twice"));
        }
        let inbox = self.signals.inbox(signal);
        let given: Vec<Slot> = match take {
            Take::First if inbox.values.is_empty() => {
                inbox.values.push_back(value.clone());
                inbox.waiting.drain(..).collect()
            }
            Take::First => return Err(known("it was the second of which the first counts")),
            _ => match inbox.waiting.pop_front() {
                Some(slot) => vec![slot],
                None => {
                    inbox.values.push_back(value.clone());
                    Vec::new()
                }
            },
        };
        let mut agenda = Agenda::default();
        for slot in given.into_iter().rev() {
            if let State::Waiting(_, Some(until)) = self.scopes.cell(slot)?.state {
                self.timers.remove(&(until, slot));
            }
            agenda.push(Todo::Complete(slot, value.clone()));
        }
        self.work_through(agenda, turn)
    }

    /// The event that the end of a wait is for which nothing came in time.
    pub(super) fn waited_in_vain(&self, slot: Slot, tried: &Try, now: Timestamp) -> Result<Event> {
        let node = self.plan.node(slot.node);
        let signal = if let NodeKind::Wait(signal) = &node.kind { &*signal.name } else { "signal" };
        let at = self.address(slot)?;
        let failure = Failure::new(FailureKind::TIMEOUT, format!("no `{signal}` came in time"));
        let failure = failure.at(self.plan.path_at(&at));
        // Nothing is overloaded by waiting once more at once.
        let retry_at = node.policy.retry_at(tried.attempt, &failure, tried.began, now, 0);
        Ok(Event::Failed { at, part: Part::Work, attempt: tried.attempt, failure, retry_at })
    }
}
