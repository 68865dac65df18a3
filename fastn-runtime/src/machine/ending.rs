//! How a run ends that does not succeed: what had been done is undone, last first.

use fastn_core::{Event, Failure, FailureKind, Outcome, Result};

use super::cell::Try;
use super::state::{Machine, Phase};
use super::turn::Turn;

impl Machine {
    /// No new work is begun from here on.
    pub(super) fn end(&mut self, cancelled: bool, failure: Failure) {
        // The first reason stands.
        if matches!(self.phase, Phase::Going | Phase::Complete(_)) {
            self.phase = Phase::Ending { cancelled, failure };
            self.timers.clear();
            self.gather();
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
        // What is paused undoes nothing.
        if !self.is_paused() {
            self.settle_unwinding(turn)?;
        }
        self.part_with_children(turn)?;
        if self.running > 0 || !self.awaited.is_empty() || self.is_unwinding() {
            return Ok(());
        }
        let outcome = match &self.phase {
            Phase::Going | Phase::Over(_) => return Ok(()),
            Phase::Complete(output) => Outcome::Succeeded(output.clone()),
            Phase::Ending { cancelled, failure } => {
                if self.undo.run.current.is_some() {
                    return Ok(());
                }
                if let Some(next) = self.undo.run.done.last() {
                    let first = Try::first(next.part, turn.time);
                    return self.run_undo(None, first, turn);
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
}
