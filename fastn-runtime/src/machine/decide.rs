//! What a person says of a step, instead of what comes of it by itself.

use fastn_core::plan::NodeKind;
use fastn_core::{Address, Attempt, Bond, By, Decision, Event, Failure, FailureKind, Part, Payload, Result};

use super::apply::{Agenda, Todo};
use super::cell::{State, Try};
use super::slot::Slot;
use super::state::{Machine, Phase, corrupt};
use super::turn::{Action, Task, Turn};
use super::undo::Current;

impl Machine {
    /// What a decision about this attempt is now: an event, or nothing if the attempt is neither under way nor waited for, if
    /// the decision makes no sense for it, or if the run was told of this before. Without an output the node gives what it
    /// would give a sleeper, its first input, or else nothing.
    pub fn decide(
        &self,
        id: [u8; 16],
        (at, part, attempt): (&Address, Part, Attempt),
        decision: &Decision,
        by: &By,
    ) -> Option<Event> {
        if self.signals.has_heard(&id) || !self.can_decide(at, part, attempt, decision) {
            return None;
        }
        Some(Event::Decided { id, at: at.clone(), part, attempt, decision: decision.clone(), by: Box::new(by.clone()) })
    }

    /// What a node gives that is skipped and of which nobody says what it gave: a sleep passes on what it was given.
    pub fn skipped(&self, at: &Address) -> Payload {
        let sleeps = |slot: &Slot| matches!(self.plan.node(slot.node).kind, NodeKind::Sleep(_));
        let slot = self.slot_of(at).filter(sleeps);
        slot.and_then(|slot| self.first_input(slot).ok()).unwrap_or_else(Payload::null)
    }

    fn can_decide(&self, at: &Address, part: Part, attempt: Attempt, decision: &Decision) -> bool {
        if matches!(part, Part::Undo | Part::Finally) {
            let Some(stack) = self.stack_of(at, part) else { return false };
            let tried = match &stack.current {
                Some(Current::Running(tried) | Current::Backoff(tried, _)) => tried,
                None => return false,
            };
            let last = stack.done.last().is_some_and(|last| last.at == *at && last.part == part);
            return last && tried.attempt == attempt && !matches!(decision, Decision::Again);
        }
        let Some(slot) = self.slot_of(at).filter(|slot| self.goes_in(slot.scope)) else { return false };
        let own = matches!(
            self.plan.node(slot.node).kind,
            NodeKind::Step | NodeKind::Call(_) | NodeKind::Sleep(_) | NodeKind::Wait(_) | NodeKind::Run(_)
        );
        let Ok(cell) = self.scopes.cell(slot) else { return false };
        let is = |tried: &Try| own && (tried.part, tried.attempt) == (part, attempt);
        match &cell.state {
            State::Doubted(tried) | State::Backoff(tried, _) => is(tried),
            State::Running(tried) | State::Waiting(tried, _) | State::Awaiting(tried, ..) => {
                is(tried) && !matches!(decision, Decision::Again)
            }
            State::Sleeping(_) => (part, attempt) == (Part::Work, Attempt::FIRST) && *decision != Decision::Again,
            _ => false,
        }
    }

    /// The slot of an address, without beginning anything.
    fn slot_of(&self, at: &Address) -> Option<Slot> {
        let node = self.plan.get(at.node)?;
        let scopes = self.scopes.iter().filter(|(_, state)| state.plan == node.scope);
        let mut slots = scopes.map(|(scope, _)| Slot { scope, node: at.node });
        slots.find(|slot| self.address(*slot).is_ok_and(|found| found == *at))
    }

    pub(super) fn decided(
        &mut self,
        id: [u8; 16],
        (at, part, attempt): (&Address, Part, Attempt),
        decision: &Decision,
        turn: &mut Turn,
    ) -> Result<()> {
        if !self.signals.hear(id) {
            return Err(corrupt("it was decided twice", at.node));
        }
        if matches!(part, Part::Undo | Part::Finally) {
            let stack = self.stack_of(at, part).ok_or_else(|| corrupt("nothing was being undone", at.node))?;
            if let Some(Current::Running(_)) = stack.current {
                self.by_hand().disown(at, part, attempt);
            }
            return match decision {
                Decision::Gave(_) => self.undone(at, part),
                Decision::Failed(failure) => self.undo_failed(at, (part, attempt), failure, None),
                _ => Err(corrupt("an undo is made again by itself", at.node)),
            };
        }
        let slot = self.locate(at)?;
        if !self.goes_in(slot.scope) {
            return Err(corrupt("what it belongs to was ending", at.node));
        }
        let tried = self.take_over(slot, (at, part, attempt), turn)?;
        match decision {
            Decision::Gave(output) => self.work_through(Agenda::of(Todo::Complete(slot, output.clone())), turn),
            Decision::Failed(failure) => self.failed(slot, part, failure, turn),
            Decision::Again => {
                let next = if tried.recorded { attempt.next() } else { attempt };
                self.hold_back(slot, Try { attempt: next, recorded: false, ..tried }, turn.time)
            }
            _ => Err(corrupt("a decision of a later version", at.node)),
        }
    }

    /// Takes a node out of whatever it was doing.
    fn take_over(
        &mut self,
        slot: Slot,
        (at, part, attempt): (&Address, Part, Attempt),
        turn: &mut Turn,
    ) -> Result<Try> {
        let first = (part, attempt) == (Part::Work, Attempt::FIRST);
        let cell = self.scopes.cell(slot)?;
        let (state, ready) = (cell.state.clone(), cell.waits_for == 0);
        let passes = matches!(self.plan.node(slot.node).kind, NodeKind::Sleep(_) | NodeKind::Wait(_));
        match &state {
            // What a run is given to begin with comes before anything of it is begun.
            State::Idle if first && ready && passes => return Ok(Try::first(Part::Work, turn.time)),
            State::Sleeping(until) if first => {
                self.timers.remove(&(*until, slot));
                return Ok(Try::first(Part::Work, turn.time));
            }
            // Nobody makes it just now, and nobody will.
            State::Running(_) if self.by_hand().forget_interrupted(slot) => self.running += 1,
            State::Running(_) => self.by_hand().disown(at, part, attempt),
            State::Awaiting(_, run, _) => {
                let own = matches!(&self.plan.node(slot.node).kind, NodeKind::Run(child) if child.bond == Bond::Own);
                if own {
                    turn.actions.push(Action::EndChild(*run, "nobody waits for it any more".to_owned()));
                }
            }
            _ => {}
        }
        self.answered(slot, part, attempt)
    }

    /// Whether nobody waits for the answer to an attempt any more, since somebody has decided what became of it. Said once.
    pub fn disowns(&mut self, task: &Task) -> bool {
        self.hand.as_mut().is_some_and(|hand| hand.is_disowned(&task.at, task.part, task.attempt))
    }

    /// The outcome of an attempt is not known, and a person decides.
    pub(super) fn doubted(&mut self, at: &Address, attempt: Attempt) -> Result<()> {
        let slot = self.locate(at)?;
        let cell = self.scopes.cell_mut(slot)?;
        match std::mem::replace(&mut cell.state, State::Idle) {
            State::Running(tried) if tried.recorded && tried.attempt == attempt => {
                cell.state = State::Doubted(tried);
                self.running = self.running.saturating_sub(1);
                self.by_hand().doubts += 1;
                Ok(())
            }
            other => {
                cell.state = other;
                Err(corrupt("no such attempt was under way", at.node))
            }
        }
    }

    /// How many attempts there are whose outcome a person has to say.
    pub fn doubts(&self) -> u32 {
        self.hand.as_ref().map_or(0, |hand| hand.doubts)
    }

    /// A run that is ending waits for nobody: what is not known of its steps stays unknown. Whether there was any.
    pub(super) fn leave_doubts(&self, turn: &mut Turn) -> Result<bool> {
        if self.doubts() == 0 || !matches!(self.phase, Phase::Ending { .. }) {
            return Ok(false);
        }
        for (scope, state) in self.scopes.iter() {
            for (node, cell) in state.cells() {
                if let State::Doubted(tried) = &cell.state {
                    let at = self.address(Slot { scope, node })?;
                    turn.follow.push_back(self.unknown(at, tried));
                }
            }
        }
        Ok(true)
    }

    /// The failure of an attempt whose executor died.
    pub(super) fn unknown(&self, at: Address, tried: &Try) -> Event {
        let what = "its executor died while it ran; whether its effect took place is not known";
        let failure = Failure::new(FailureKind::OUTCOME_UNKNOWN, what).permanent().at(self.plan.path_at(&at));
        Event::Failed { at, part: tried.part, attempt: tried.attempt, failure, retry_at: None }
    }
}
