//! Giving up a run that kills its executors.

use fastn_core::plan::NodeKind;
use fastn_core::{Event, Failure, FailureKind, Outcome, Part, Result, Timestamp};

use super::cell::State;
use super::slot::Slot;
use super::state::{Machine, Phase};

/// How many of the steps under way are named.
const NAMED: usize = 8;

impl Machine {
    /// What is recorded of a run over which so many executors have died, none of which got any further than at this time:
    /// its end, without anything being undone, since that would be the work of a run that kills. `None` if no function of the
    /// host's would be called by [`Machine::resume`], so that it is not the run that kills. After [`Machine::replay`].
    ///
    /// # Errors
    /// [`Corrupt`](fastn_core::ErrorKind::Corrupt), which is not expected after a replay that succeeded.
    pub fn poison(&self, deaths: u32, since: Timestamp) -> Result<Option<Event>> {
        let steps = self.under_way()?;
        let [first, others @ ..] = steps.as_slice() else { return Ok(None) };
        let named = steps.get(..NAMED).unwrap_or(&steps).join(", ");
        let more = match steps.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let what = format!(
            "its executors died {deaths} times in a row, and it got no further since {since}; under way: {named}{more}"
        );
        let failure = Failure::new(FailureKind::POISON, what).permanent();
        // Which of several it was is not known.
        let failure = if others.is_empty() { failure.at(first) } else { failure };
        Ok(Some(Event::Finished { outcome: Outcome::Stuck(failure) }))
    }

    /// The steps whose functions would be called once more.
    fn under_way(&self) -> Result<Vec<String>> {
        let mut steps = Vec::new();
        if self.is_paused() {
            return Ok(steps);
        }
        for (scope, state) in self.scopes.iter() {
            let going = self.goes_in(scope);
            for (node, cell) in state.cells() {
                let State::Running(attempt) = &cell.state else { continue };
                // To start a run once more calls no function.
                if attempt.part == Part::Work && matches!(self.plan.node(node).kind, NodeKind::Run(_)) {
                    continue;
                }
                if !attempt.recorded && (going || self.plan.node(node).policy.undo.is_some()) {
                    steps.push(self.plan.path_at(&self.address(Slot { scope, node })?));
                }
            }
        }
        let scopes = self.contained.iter().flat_map(|contained| contained.unwinding.values());
        let ending = matches!(self.phase, Phase::Ending { .. }).then_some(&self.undo.run);
        for stack in ending.into_iter().chain(scopes.map(|unwinding| &unwinding.stack)) {
            if let (Some(done), None) = (stack.done.last(), stack.retries_at()) {
                steps.push(self.plan.path_at(&done.at));
            }
        }
        Ok(steps)
    }
}
