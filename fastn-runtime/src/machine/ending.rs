//! How a run ends that does not succeed: what had been done is undone, last first.

use fastn_core::{Address, Attempt, Event, Failure, FailureKind, Outcome, Part, Result, Timestamp};

use super::cell::Try;
use super::state::{Machine, Phase, corrupt};
use super::turn::{Action, Task, Turn};
use super::undo::Current;

impl Machine {
    /// No new work is begun from here on.
    pub(super) fn end(&mut self, cancelled: bool, failure: Failure) {
        // The first reason stands.
        if matches!(self.phase, Phase::Going | Phase::Complete(_)) {
            self.phase = Phase::Ending { cancelled, failure };
            self.timers.clear();
        }
    }

    /// Ends the run if there is nothing left to wait for, or begins the next undo.
    pub(super) fn settle(&mut self, turn: &mut Turn) -> Result<()> {
        if self.is_paused() && matches!(self.phase, Phase::Ending { .. }) {
            return Ok(());
        }
        if self.leave_doubts(turn)? {
            return Ok(());
        }
        self.part_with_children(turn)?;
        if self.running > 0 || !self.awaited.is_empty() {
            return Ok(());
        }
        let outcome = match &self.phase {
            Phase::Going | Phase::Over(_) => return Ok(()),
            Phase::Complete(output) => Outcome::Succeeded(output.clone()),
            Phase::Ending { cancelled, failure } => {
                if self.undo.current.is_some() {
                    return Ok(());
                }
                if !self.undo.done.is_empty() {
                    return self.run_undo(Try::first(Part::Undo, turn.time), turn);
                }
                match (&*self.undo.stuck, cancelled) {
                    ([], true) => Outcome::Cancelled(failure.clone()),
                    ([], false) => Outcome::Failed(failure.clone()),
                    (stuck, _) => {
                        let what = format!("{} could not be undone", stuck.len());
                        let mut failed = Failure::new(FailureKind::COMPENSATION, what);
                        failed.chain = stuck.iter().cloned().chain([failure.to_string()]).collect();
                        Outcome::Stuck(failed)
                    }
                }
            }
        };
        turn.follow.push_back(Event::Finished { outcome });
        Ok(())
    }

    fn run_undo(&mut self, attempt: Try, turn: &mut Turn) -> Result<()> {
        let Some((at, output)) = self.undo.done.last() else { return Ok(()) };
        turn.actions.push(Action::Run(Task {
            at: at.clone(),
            part: Part::Undo,
            attempt: attempt.attempt,
            began: attempt.began,
            args: vec![output.clone()],
            ahead: false,
        }));
        self.undo.current = Some(Current::Running(attempt));
        self.running += 1;
        Ok(())
    }

    /// Takes the present undo out, which has been answered.
    fn undo_answered(&mut self, at: &Address) -> Result<Option<Try>> {
        if !self.undo.is_next(at) {
            return Err(corrupt("it was not next to be undone", at.node));
        }
        Ok(match self.undo.current.take() {
            Some(Current::Running(tried)) => {
                self.running = self.running.saturating_sub(1);
                Some(tried)
            }
            Some(Current::Backoff(tried, _)) => Some(tried),
            // In replay, where undos are not begun but only found done.
            None => None,
        })
    }

    pub(super) fn undone(&mut self, at: &Address) -> Result<()> {
        self.undo_answered(at)?;
        self.undo.done.pop();
        Ok(())
    }

    pub(super) fn undo_failed(
        &mut self,
        at: &Address,
        attempt: Attempt,
        failure: &Failure,
        retry_at: Option<Timestamp>,
    ) -> Result<()> {
        let tried = self.undo_answered(at)?;
        match retry_at {
            Some(until) => {
                let began = tried.map_or(until, |tried| tried.began);
                let next = Try { attempt: attempt.next(), ..Try::first(Part::Undo, began) };
                self.undo.current = Some(Current::Backoff(next, until));
            }
            None => {
                // The others are undone all the same: one that is stuck must not keep them from it.
                self.undo.stuck.push(failure.to_string());
                self.undo.done.pop();
            }
        }
        Ok(())
    }

    /// Begins the retry of an undo that is due.
    pub(super) fn wake_undo(&mut self, now: Timestamp, turn: &mut Turn) -> Result<()> {
        match self.undo.current.take() {
            Some(Current::Backoff(next, until)) if until <= now => self.run_undo(next, turn),
            other => {
                self.undo.current = other;
                Ok(())
            }
        }
    }
}
