//! Runs of other workflows that a run has started and waits for.

use fastn_core::plan::{NodeIx, NodeKind};
use fastn_core::{Address, Attempt, Bond, Event, Failure, FailureKind, Outcome, Part, Result, RunId, Timestamp};

use super::cell::State;
use super::contained::Why;
use super::state::{Machine, Phase, corrupt};
use super::turn::{Action, Turn};

impl Machine {
    /// A run was started, whose end is awaited.
    pub(super) fn child_started(
        &mut self,
        at: &Address,
        attempt: Attempt,
        run: RunId,
        until: Option<Timestamp>,
        turn: &mut Turn,
    ) -> Result<()> {
        let slot = self.locate(at)?;
        let bond = self.bond(slot.node).filter(|bond| *bond != Bond::Detach);
        let bond = bond.ok_or_else(|| corrupt("it waits for no run", at.node))?;
        let tried = self.answered(slot, Part::Work, attempt)?;
        // One that comes when the run is ending already is treated as those that were there before.
        let unwinds = self.unwinds(slot.scope);
        if !self.goes_in(slot.scope) && bond == Bond::Leave {
            return Ok(());
        }
        if self.awaited.insert(run, slot).is_some() {
            return Err(corrupt("two nodes wait for one run", at.node));
        }
        self.scopes.cell_mut(slot)?.state = State::Awaiting(tried, run, until);
        if let Some(until) = until.filter(|_| unwinds.is_none()) {
            self.timers.insert((until, slot));
        }
        turn.actions.push(Action::Await(run));
        if let Some(unwinding) = unwinds.and_then(|id| self.contained().unwinding.get_mut(&id)) {
            unwinding.open = unwinding.open.saturating_add(1);
            turn.actions.push(Action::EndChild(run, given_up(&unwinding.why)));
            return Ok(());
        }
        if let Phase::Ending { failure, .. } = &self.phase {
            turn.actions.push(Action::EndChild(run, reason(failure)));
        }
        Ok(())
    }

    pub(super) fn bond(&self, node: NodeIx) -> Option<Bond> {
        match &self.plan.node(node).kind {
            NodeKind::Run(child) => Some(child.bond),
            _ => None,
        }
    }

    /// What the end of a run is now: an event, or nothing if it is not awaited. `chance` is any random number.
    pub fn child_ended(&self, run: RunId, outcome: &Outcome, now: Timestamp, chance: u64) -> Option<Event> {
        let slot = *self.awaited.get(&run)?;
        let State::Awaiting(tried, _, until) = &self.scopes.cell(slot).ok()?.state else { return None };
        let (at, part, attempt) = (self.address(slot).ok()?, Part::Work, tried.attempt);
        let late = until.is_some_and(|until| until <= now);
        let (kind, how, inner, permanent) = match outcome {
            Outcome::Succeeded(output) => {
                return Some(Event::Succeeded { at, part, attempt, output: output.clone() });
            }
            Outcome::Cancelled(inner) if late => (FailureKind::TIMEOUT, "was cancelled", inner, false),
            Outcome::Cancelled(inner) => (inner.kind.clone(), "was cancelled", inner, true),
            Outcome::Failed(inner) => (inner.kind.clone(), "failed", inner, inner.permanent),
            Outcome::Stuck(inner) => (inner.kind.clone(), "is stuck", inner, true),
            // What this build does not know a person has to look at.
            _ => return None,
        };
        let of = inner.node.as_ref().map(|node| format!("{node}: ")).unwrap_or_default();
        let what = format!("run {run} {how}: {of}{}", inner.message);
        let mut failure = Failure::new(kind, what).at(self.plan.path_at(&at));
        failure.chain.clone_from(&inner.chain);
        failure.permanent = permanent;
        let policy = &self.plan.node(slot.node).policy;
        let going = self.goes_in(slot.scope);
        let retry_at = policy.retry_at(attempt, &failure, tried.began, now, chance).filter(|_| going);
        Some(Event::Failed { at, part, attempt, failure, retry_at })
    }

    /// The run is ending, and its children with it: before anything else is undone they have undone what they did.
    pub(super) fn part_with_children(&mut self, turn: &mut Turn) -> Result<()> {
        let Phase::Ending { failure, .. } = &self.phase else { return Ok(()) };
        if self.parted {
            return Ok(());
        }
        self.parted = true;
        let reason = reason(failure);
        for (run, slot) in std::mem::take(&mut self.awaited) {
            if self.bond(slot.node) == Some(Bond::Leave) {
                self.scopes.cell_mut(slot)?.state = State::Idle;
                continue;
            }
            turn.actions.push(Action::EndChild(run, reason.clone()));
            self.awaited.insert(run, slot);
        }
        Ok(())
    }

    /// The run is given up as it stands, and nobody will wait for its children: they end by themselves.
    pub(super) fn abandon_children(&self, turn: &mut Turn) {
        let own = self.awaited.iter().filter(|(_, slot)| self.bond(slot.node) == Some(Bond::Own));
        let reason = "the run that it belongs to was parked as poison";
        turn.actions.extend(own.map(|(run, _)| Action::EndChild(*run, reason.to_owned())));
    }
}

/// What is told to the runs of a scope that is given up.
pub(super) fn given_up(why: &Why) -> String {
    match why {
        Why::Failed(failure) => format!("what it belongs to is given up: {failure}"),
        Why::Ended(_) => "what it belongs to is over".to_owned(),
    }
}

fn reason(failure: &Failure) -> String {
    format!("the run that it belongs to ends: {failure}")
}
