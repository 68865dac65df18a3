//! What may be recorded next of a run.

use std::collections::BTreeMap;

use fastn_core::plan::NodeKind;
use fastn_core::{
    Address, Attempt, Durability, Event, Failure, FailureKind, Outcome, Part, Payload, Plan, Record, Timestamp,
};

use super::calls::Calls;
use super::facts::{Cause, Facts};
use super::invariant::{Held, Invariant, hold};
use super::reading::{Known, Reading};

/// A run before a record is added.
pub(super) struct Rules<'a> {
    pub(super) plan: &'a Plan,
    pub(super) facts: &'a Facts,
    pub(super) input: &'a Payload,
    pub(super) created_at: Timestamp,
    pub(super) calls: &'a Calls,
    /// What hosts have sent to it.
    pub(super) sent: &'a BTreeMap<[u8; 16], (String, Payload)>,
    /// The calendar was set back: what began may have begun later than now.
    pub(super) set_back: bool,
}

use Invariant::{AtMostOnce, HistoryIsKept, RecordsFollowThePlan, ResultsAreReal, RetriesAsSaid, UndoneInReverse};

impl Rules<'_> {
    /// Whether this record may follow.
    pub(super) fn check(&self, record: &Record) -> Held {
        let going = self.facts.cause.is_none();
        let follows = |condition: bool, what: &str| {
            hold(condition, RecordsFollowThePlan, || format!("{what}: {:?}", record.event))
        };
        hold(self.facts.over.is_none(), HistoryIsKept, || "a record follows the end of the run".to_owned())?;
        match &record.event {
            Event::Started { at, attempt } => {
                follows(self.is_ready(at, usize::MAX) && going, "a start out of turn")?;
                let policy = self.plan.get(at.node).map(|node| node.policy.durability);
                follows(policy == Some(Durability::AtMostOnce) && *attempt == Attempt::FIRST, "a start of no use")?;
                hold(!self.facts.started.contains_key(at), AtMostOnce, || format!("{} starts again", self.path(at)))
            }
            Event::Succeeded { at, part, attempt, output } => {
                self.answers(at, *part, *attempt)?;
                follows(*part != Part::Work || !self.is_wait(at), "a wait has no attempts")?;
                let real = self.calls.gave(at, *part, *attempt, output) || self.is_call(at, *part);
                hold(real, ResultsAreReal, || format!("nothing gave what is recorded of {}", self.path(at)))
            }
            Event::Failed { at, part, attempt, failure, retry_at } => {
                self.answers(at, *part, *attempt)?;
                if *part == Part::Work && self.is_wait(at) {
                    let until = self.facts.inboxes.waiting.get(at).copied().flatten();
                    follows(until.is_some_and(|until| until <= record.time), "the end of a wait out of turn")?;
                }
                let real = self.is_the_engines(at, *part, failure)
                    || self.calls.failed(at, *part, *attempt)
                    || self.is_call(at, *part);
                hold(real, ResultsAreReal, || format!("nothing failed as is recorded of {}", self.path(at)))?;
                self.retry(at, *part, *attempt, failure, *retry_at, record.time)
            }
            Event::Sleeping { at, until } => {
                follows(going && self.is_ready(at, usize::MAX), "a sleep out of turn")?;
                let span = match self.plan.get(at.node).map(|node| &node.kind) {
                    Some(NodeKind::Sleep(span)) => *span,
                    _ => return follows(false, "a sleep of a node that does not sleep"),
                };
                follows(!self.facts.sleeping.contains_key(at), "it sleeps again")?;
                follows(*until == record.time.plus(span), "a sleep of another length")
            }
            Event::Woke { at } => {
                let until = self.facts.sleeping.get(at);
                follows(going && until.is_some_and(|until| *until <= record.time), "an end of sleep out of turn")?;
                follows(!self.facts.woke.contains_key(at), "it wakes again")
            }
            Event::Waiting { at, attempt, until } => self.wait(at, *attempt, *until, record.time),
            Event::Signalled { id, signal, value, .. } => {
                let inboxes = &self.facts.inboxes;
                let take = self.plan.signals().get(&**signal).copied();
                follows(going && take.is_some(), "a signal out of turn")?;
                follows(!inboxes.heard.contains(id), "it was told that before")?;
                follows(!take.is_some_and(|take| inboxes.has_first(signal, take)), "only the first of them counts")?;
                let real = self.sent.get(id).is_some_and(|(name, sent)| name == signal && sent == value);
                hold(real, ResultsAreReal, || format!("nobody sent what is recorded of the signal {signal}"))
            }
            Event::CancelRequested { .. } => follows(going, "a cancellation of a run that is ending"),
            Event::Expired => {
                let due = self.plan.deadline().map(|most| self.created_at.plus(most));
                follows(going && due.is_some_and(|due| due <= record.time), "a deadline before its time")
            }
            Event::Finished { outcome } => self.end(outcome),
            _ => Ok(()),
        }
    }

    /// Whether a wait may begin like this.
    fn wait(&self, at: &Address, attempt: Attempt, until: Option<Timestamp>, now: Timestamp) -> Held {
        let follows = |condition: bool, what: &str| {
            hold(condition, RecordsFollowThePlan, || format!("{what}: {} until {until:?}", self.path(at)))
        };
        let before = self.facts.cause.map_or(usize::MAX, |(place, _)| place);
        follows(self.is_wait(at) && self.is_ready(at, before), "a wait out of turn")?;
        let inboxes = &self.facts.inboxes;
        follows(!inboxes.waiting.contains_key(at) && !inboxes.given.contains_key(at), "it waits again")?;
        let due = self.facts.failures(at, Part::Work).last().map(|fail| fail.retry_at);
        let in_time = due.is_none_or(|due| due.is_some_and(|due| due <= now));
        hold(in_time && attempt == self.facts.next_attempt(at, Part::Work), RetriesAsSaid, || {
            format!("wait {attempt} of {} does not follow those before", self.path(at))
        })?;
        let left = self.plan.get(at.node).and_then(|node| node.policy.time_left(now, now));
        let whole = attempt != Attempt::FIRST || until == left.map(|left| now.plus(left));
        follows(whole, "a wait of another length")
    }

    fn is_wait(&self, at: &Address) -> bool {
        self.plan.get(at.node).is_some_and(|node| matches!(node.kind, NodeKind::Wait(_)))
    }

    /// Whether a failure is one that the engine may have found by itself.
    fn is_the_engines(&self, at: &Address, part: Part, failure: &Failure) -> bool {
        let policy = self.plan.get(at.node).map(|node| &node.policy);
        let stops = matches!(self.facts.cause, Some((_, Cause::Cancelled | Cause::Expired)));
        match &failure.kind {
            kind if *kind == FailureKind::CANCELLED => stops && part != Part::Undo,
            kind if *kind == FailureKind::TIMEOUT => {
                policy.is_some_and(|policy| policy.within.is_some() || policy.deadline.is_some())
            }
            kind if *kind == FailureKind::OUTCOME_UNKNOWN => part == Part::Work && self.facts.started.contains_key(at),
            kind => [FailureKind::PANIC, FailureKind::TOO_LARGE, FailureKind::INVALID].contains(kind),
        }
    }

    /// Whether this attempt may be answered now.
    fn answers(&self, at: &Address, part: Part, attempt: Attempt) -> Held {
        let follows = |condition: bool, what: &str| {
            hold(condition, RecordsFollowThePlan, || format!("{what}: {} of {}", part.as_str(), self.path(at)))
        };
        follows(self.facts.success(at, part).is_none(), "it succeeded before")?;
        follows(!self.facts.gave_up(at, part), "it failed for good before")?;
        hold(attempt == self.facts.next_attempt(at, part), RetriesAsSaid, || {
            format!("attempt {attempt} of {} does not follow those before", self.path(at))
        })?;
        let before = self.facts.cause.map_or(usize::MAX, |(place, _)| place);
        match part {
            Part::Work => {
                follows(self.is_ready(at, before), "its turn has not come")?;
                let once = self.plan.get(at.node).is_some_and(|node| node.policy.durability == Durability::AtMostOnce);
                hold(!once || self.facts.started.contains_key(at), AtMostOnce, || {
                    format!("{} is answered, and its start is not recorded", self.path(at))
                })
            }
            Part::OnError => follows(self.facts.gave_up(at, Part::Work), "its work did not fail"),
            _ => {
                let next = self.facts.cause.is_some() && self.facts.to_undo.last() == Some(at);
                hold(next, UndoneInReverse, || format!("{} is not next to be undone", self.path(at)))
            }
        }
    }

    fn retry(
        &self,
        at: &Address,
        part: Part,
        attempt: Attempt,
        failure: &Failure,
        retry_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Held {
        let Some(policy) = self.plan.get(at.node).map(|node| &node.policy) else { return Ok(()) };
        // When the first attempt began is not recorded; what depends on it is left open.
        let next = |began: Timestamp, chance: u64| match part {
            Part::Undo => policy.undo.as_ref().and_then(|retry| retry.next(attempt, failure, began, now, chance)),
            _ if self.facts.cause.is_some() => None,
            _ => policy.retry_at(attempt, failure, began, now, chance),
        };
        let said = match retry_at {
            Some(at) => {
                let began = if self.set_back { Timestamp::MAX } else { now };
                let (first, last) = (next(began, 0), next(began, u64::MAX));
                first.is_some_and(|first| first <= at) && last.is_none_or(|last| at <= last)
            }
            None => [0, u64::MAX].iter().any(|chance| next(Timestamp::EPOCH, *chance).is_none()),
        };
        let what = if retry_at.is_some() { "will be tried again" } else { "is given up" };
        hold(said, RetriesAsSaid, || {
            format!("{} {what} after attempt {attempt}: {failure}, at {retry_at:?} by {policy:?}", self.path(at))
        })
    }

    fn end(&self, outcome: &Outcome) -> Held {
        let follows =
            |condition: bool, what: &str| hold(condition, RecordsFollowThePlan, || format!("{what}: {outcome}"));
        let cause = self.facts.cause.map(|(_, cause)| cause);
        if let Outcome::Succeeded(output) = outcome {
            let whole = self.reading(usize::MAX).outcome();
            follows(
                cause.is_none() && matches!(&whole, Known::Yes(value) if value.is_same_value(output)),
                "an end that does not follow",
            )?;
            return Ok(());
        }
        hold(self.facts.to_undo.is_empty(), UndoneInReverse, || {
            let left: Vec<_> = self.facts.to_undo.iter().map(|at| self.path(at)).collect();
            format!("the run ended, and {} was not undone", left.join(", "))
        })?;
        let stuck = matches!(outcome, Outcome::Stuck(_)) == (self.facts.stuck > 0);
        hold(stuck, UndoneInReverse, || format!("{} undos failed, and the end is: {outcome}", self.facts.stuck))?;
        follows(cause.is_some(), "there is no reason for this end")?;
        match outcome {
            Outcome::Failed(_) => follows(cause != Some(Cause::Cancelled), "it was cancelled"),
            Outcome::Cancelled(_) => follows(cause == Some(Cause::Cancelled), "it was not cancelled"),
            _ => Ok(()),
        }
    }

    fn is_ready(&self, at: &Address, upto: usize) -> bool {
        self.reading(upto).is_ready(at) == Known::Yes(())
    }

    fn reading(&self, upto: usize) -> Reading<'_> {
        Reading { plan: self.plan, facts: self.facts, input: self.input, upto }
    }

    /// Whether what gives its result is a connector, which nobody here sees.
    fn is_call(&self, at: &Address, part: Part) -> bool {
        part == Part::Work && self.plan.get(at.node).is_some_and(|node| matches!(node.kind, NodeKind::Call(_)))
    }

    fn path(&self, at: &Address) -> String {
        self.plan.path_at(at)
    }
}
