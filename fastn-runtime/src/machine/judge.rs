//! What an attempt's result means.

use fastn_core::plan::NodeKind;
use fastn_core::{Address, Bond, By, Event, Failure, FailureKind, Part, Payload, Timestamp};

use super::state::{Machine, Phase};
use super::turn::Task;

impl Machine {
    /// The event that an attempt's result is: success, or failure with or without a retry. `chance` is any random
    /// number.
    pub fn judge(&self, task: &Task, result: Result<Payload, Failure>, now: Timestamp, chance: u64) -> Event {
        let (at, part, attempt) = (task.at.clone(), task.part, task.attempt);
        let failure = match result.and_then(|output| self.acceptable(task, output)) {
            Ok(output) => return self.succeeded(task, output, now),
            Err(failure) => failure,
        };
        let policy = self.plan.get(at.node).map(|node| &node.policy);
        let retry_at = match part {
            Part::Undo => policy
                .and_then(|policy| policy.undo.as_ref())
                .and_then(|retry| retry.next(attempt, &failure, task.began, now, chance)),
            Part::Finally => match self.plan.get(at.node).map(|node| &node.kind) {
                Some(NodeKind::Try(guarded)) => {
                    let retry = guarded.finally.as_ref();
                    retry.and_then(|retry| retry.next(attempt, &failure, task.began, now, chance))
                }
                _ => None,
            },
            // No new attempt is begun once the run is ending, or what it stands in is given up.
            _ if !matches!(self.phase, Phase::Going) || self.is_given_up(&at) => None,
            _ => policy.and_then(|policy| policy.retry_at(attempt, &failure, task.began, now, chance)),
        };
        let failure = if failure.node.is_some() { failure } else { failure.at(self.plan.path_at(&at)) };
        Event::Failed { at, part, attempt, failure, retry_at }
    }

    fn is_given_up(&self, at: &Address) -> bool {
        self.is_unwinding() && !matches!(self.unwinds_at(at), Ok((None, _)))
    }

    /// What an attempt's output is: a result, or the id of a run that is awaited from now on.
    fn succeeded(&self, task: &Task, output: Payload, now: Timestamp) -> Event {
        let (at, part, attempt) = (task.at.clone(), task.part, task.attempt);
        let node = self.plan.get(at.node);
        if let (Some(NodeKind::Run(child)), Part::Work) = (node.map(|node| &node.kind), part)
            && child.bond != Bond::Detach
            && let Ok(run) = output.decode()
        {
            let left = node.and_then(|node| node.policy.time_left(task.began, now));
            return Event::Child { at, attempt, run, until: left.map(|left| now.plus(left)) };
        }
        Event::Succeeded { at, part, attempt, output }
    }

    /// The choice of a `when` must name one of its arms, that of a `repeat` is yes or no.
    fn acceptable(&self, task: &Task, output: Payload) -> Result<Payload, Failure> {
        match self.plan.get(task.at.node).map(|node| &node.kind) {
            Some(NodeKind::When(arms)) if task.part == Part::Work => match output.decode::<usize>() {
                Ok(arm) if arm < arms.len() => Ok(output),
                _ => Err(Failure::new(FailureKind::INVALID, "it chose an arm that does not exist").permanent()),
            },
            Some(NodeKind::Repeat { .. }) if task.part == Part::Work => match output.decode::<bool>() {
                Ok(_) => Ok(output),
                Err(_) => Err(Failure::new(FailureKind::INVALID, "it said neither yes nor no").permanent()),
            },
            _ => Ok(output),
        }
    }

    /// Whether it has neither ended nor begun to.
    pub const fn goes(&self) -> bool {
        matches!(self.phase, Phase::Going)
    }

    /// What a request to cancel the run is now: an event, or nothing if the run is ending anyway.
    pub fn cancel(&self, by: impl Into<By>) -> Option<Event> {
        self.goes().then(|| {
            let By { actor, reason, .. } = by.into();
            let actor = Some(actor.into_boxed_str()).filter(|actor| !actor.is_empty());
            Event::CancelRequested { reason, actor }
        })
    }

    /// What the passing of the run's deadline is now: an event, or nothing if the run is ending anyway, or is paused, so that
    /// it passes when the run goes on.
    pub fn expire(&self) -> Option<Event> {
        (self.goes() && !self.is_paused()).then_some(Event::Expired)
    }
}
