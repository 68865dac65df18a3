//! When an attempt may begin.

use std::time::Duration;

use fastn_core::plan::{NodeKind, ScopeIx};
use fastn_core::{Address, Attempt, Durability, Part, Payload, Timestamp};
use fastn_store::RunKey;

use super::calls::{Call, End};
use super::executor::Process;
use super::invariant::{Held, Invariant, hold};
use super::reading::{Known, Reading};
use super::truth::{RunTruth, Truth};

/// An attempt that is made.
pub(super) struct Begun {
    pub(super) process: Process,
    pub(super) run: RunKey,
    pub(super) at: Address,
    pub(super) part: Part,
    pub(super) attempt: Attempt,
    pub(super) args: Vec<Payload>,
}

/// When an attempt begins.
pub(super) struct Moment {
    pub(super) uptime: Duration,
    /// The calendar's time, if it was never set back.
    pub(super) now: Option<Timestamp>,
    /// Whether nothing holds engines up for long.
    pub(super) prompt: bool,
}

/// How long after its time something may still be under way in an engine that nothing holds up.
const SLACK: Duration = Duration::from_secs(5);

impl Truth {
    /// Notes that an attempt begins; gives the number of the call.
    pub(super) fn begins(&mut self, begun: Begun, moment: &Moment) -> (usize, Held) {
        let (held, uptime) = (self.may_begin(&begun, moment), moment.uptime);
        let Begun { process, at, part, attempt, .. } = begun;
        let lease = self.lease_of(process).map(|(token, _)| token);
        let Some(run) = self.runs.get_mut(&begun.run) else { return (0, held) };
        run.calls.0.push(Call { process, lease, at, part, attempt, began: uptime, end: None });
        (run.calls.0.len() - 1, held)
    }

    /// Notes that a call has ended.
    pub(super) fn ends(&mut self, run: &RunKey, call: usize, end: End, uptime: Duration, on_time: bool) -> Held {
        let Some(run) = self.runs.get_mut(run) else { return Ok(()) };
        let Some(call) = run.calls.0.get_mut(call) else { return Ok(()) };
        call.end = Some(end);
        let Some(node) = run.plan.get(call.at.node).filter(|_| on_time) else { return Ok(()) };
        // Some time passes between the moment at which it is up and that at which the step is told.
        let most = node.policy.within.map(|most| most.saturating_add(Duration::from_secs(1)));
        let took = uptime.saturating_sub(call.began);
        hold(most.is_none_or(|most| took <= most), Invariant::WithinItsTime, || {
            format!("{} took {took:?}", run.plan.path_at(&call.at))
        })
    }

    /// What the steps of a process gave is recorded, unless something had to be dropped, or it has lost its lease.
    pub(super) fn gave_is_recorded(&self, process: Process) -> Held {
        let calls = || self.runs.values().flat_map(|run| run.calls.0.iter().map(move |call| (run, call)));
        let lease = self.lease_of(process);
        // What was under way when a lease was lost is dropped.
        let present = lease.map(|(token, _)| token);
        let mut own = calls().filter(|(_, call)| call.process == process && call.lease == present);
        let expired = lease.is_none_or(|(_, lease)| lease.has_expired());
        if expired || own.clone().any(|(_, call)| !matches!(call.end, Some(End::Gave(_) | End::Failed))) {
            return Ok(());
        }
        let lost = own.find(|(run, call)| {
            let recorded = run.facts.success(&call.at, call.part).is_some();
            let refused = present.is_some_and(|lease| self.refusals.concern(lease, run.no));
            !recorded && !refused && run.facts.next_attempt(&call.at, call.part) <= call.attempt
        });
        hold(lost.is_none(), Invariant::AcknowledgedIsRecorded, || {
            let path = lost.map(|(run, call)| run.plan.path_at(&call.at)).unwrap_or_default();
            format!("the engine has shut down, and the result of {path} is not recorded")
        })
    }

    fn may_begin(&self, begun: &Begun, moment: &Moment) -> Held {
        let Begun { process, at, part, attempt, .. } = begun;
        let run = self.runs.get(&begun.run);
        hold(run.is_some(), Invariant::AcknowledgedIsRecorded, || "a run is worked on that does not exist".to_owned())?;
        let Some(run) = run else { return Ok(()) };
        let path = || run.plan.path_at(at);
        let once = run.plan.get(at.node).is_some_and(|node| node.policy.durability == Durability::AtMostOnce);
        if once && *part == Part::Work {
            hold(run.facts.started.contains_key(at), Invariant::AtMostOnce, || {
                format!("{} begins, and its start is not recorded", path())
            })?;
            hold(run.calls.count(at, *part) == 0, Invariant::AtMostOnce, || format!("{} begins again", path()))?;
        }
        let lease = self.lease_of(*process);
        let life = (*process, lease.map(|(token, _)| token));
        // What could not be recorded is done again, by whoever loads the run.
        let again = life.1.is_some_and(|lease| self.refusals.concern(lease, run.no));
        hold(again || !run.calls.was_made_in(life, at, *part, *attempt), Invariant::OnceInALife, || {
            format!("{} of {} attempt {attempt}", part.as_str(), path())
        })?;
        if lease.is_none_or(|(_, lease)| lease.is_over()) {
            // It does not know yet, and goes on with what it had in hand. What it gives is not written.
            return Ok(());
        }
        let answered = run.facts.success(at, *part).is_some() || run.facts.gave_up(at, *part);
        hold(!answered, Invariant::RecordedNeverRunsAgain, || format!("{} of {}", part.as_str(), path()))?;
        hold(run.holder == lease.map(|(token, _)| token), Invariant::OneExecutor, || {
            format!("{} begins in {process:?}, and the run is in the hands of {:?}", path(), run.holder)
        })?;
        let next = run.facts.next_attempt(at, *part);
        hold(next == *attempt, Invariant::RetriesAsSaid, || format!("attempt {attempt} of {}, after {next}", path()))?;
        let due = run.facts.failures(at, *part).last().and_then(|fail| fail.retry_at);
        if let (Some(due), Some(now)) = (due, moment.now) {
            hold(due <= now, Invariant::RetriesAsSaid, || format!("{} begins at {now}, before {due}", path()))?;
        }
        match part {
            Part::Undo => run.may_be_undone(*process, at),
            Part::OnError => {
                let waits = run.plan.get(at.node).is_some_and(|node| node.policy.durability != Durability::Relaxed);
                hold(!waits || run.facts.gave_up(at, Part::Work), Invariant::SuccessorsWait, || {
                    format!("{} is taken over, and its failure is not recorded", path())
                })
            }
            _ => Ok(()),
        }?;
        run.follows(begun)?;
        run.is_in_time(begun, life.1, moment)?;
        // What was under way when the run was lost to its engine is cut off, which may take a moment.
        if again { Ok(()) } else { run.has_room(*process, at) }
    }
}

impl RunTruth {
    /// What is undone is the last of what was done, and nothing else is done meanwhile.
    fn may_be_undone(&self, process: Process, at: &Address) -> Held {
        let path = || self.plan.path_at(at);
        hold(self.facts.cause.is_some() && self.facts.to_undo.last() == Some(at), Invariant::UndoneInReverse, || {
            format!("{} is not next to be undone", path())
        })?;
        let other = self.calls.open(process).find(|call| call.part == Part::Undo && self.is_current(call));
        hold(other.is_none(), Invariant::UndoneInReverse, || format!("{} is undone beside another", path()))
    }

    /// Everything before it is recorded, and it gets what that gave.
    fn follows(&self, begun: &Begun) -> Held {
        let (at, part) = (&begun.at, begun.part);
        if part == Part::Undo {
            let done = [Part::OnError, Part::Work].iter().find_map(|part| self.facts.success(at, *part));
            let same = done.is_some_and(|done| begun.args.first() == Some(&done.output));
            return hold(same, Invariant::ArgumentsFit, || format!("undo of {}", self.plan.path_at(at)));
        }
        // What was handed out before the run began to end may still begin.
        let upto = self.facts.cause.map_or(usize::MAX, |(place, _)| place);
        let reading = Reading { plan: &self.plan, facts: &self.facts, input: &self.input, upto };
        hold(reading.is_ready(at) != Known::No, Invariant::SuccessorsWait, || {
            format!("{} begins, and what it follows is not recorded", self.plan.path_at(at))
        })?;
        let given = begun.args.iter().skip(usize::from(part == Part::OnError));
        let args = reading.args(at);
        let same = args.len() == given.len()
            && args.iter().zip(given).all(|(known, given)| match known {
                Known::Yes(value) => value.is_same_value(given),
                Known::Open => true,
                Known::No => false,
            });
        hold(same, Invariant::ArgumentsFit, || {
            let texts = |args: &[Payload]| {
                args.iter().map(|arg| String::from_utf8_lossy(arg.bytes()).into_owned()).collect::<Vec<_>>().join(", ")
            };
            format!("{} got {}", self.plan.path_at(at), texts(&begun.args))
        })
    }

    /// Once its deadline has passed, a run begins no more work in a process that has had it for a while.
    fn is_in_time(&self, begun: &Begun, lease: Option<u64>, moment: &Moment) -> Held {
        let (Some(most), Some(now), true) = (self.plan.deadline(), moment.now, moment.prompt) else { return Ok(()) };
        let same = |call: &Call| call.process == begun.process && call.lease == lease;
        let had = |call: &Call| same(call) && call.began.saturating_add(SLACK) <= moment.uptime;
        let late = now.since(self.created_at) > most.saturating_add(SLACK) && self.calls.0.iter().any(had);
        hold(!late || begun.part == Part::Undo || self.facts.cause.is_some(), Invariant::WithinItsTime, || {
            format!("{} begins at {now}, and the run's deadline has passed", self.plan.path_at(&begun.at))
        })
    }

    /// Each list around it has not too many items in work.
    fn has_room(&self, process: Process, at: &Address) -> Held {
        let Some(node) = self.plan.get(at.node) else { return Ok(()) };
        let Some((owner, _)) = self.plan.scope(node.scope).owner else { return Ok(()) };
        let NodeKind::Each { concurrency, .. } = self.plan.node(owner).kind else { return Ok(()) };
        let mut items: Vec<&[u32]> =
            self.calls.open(process).filter(|call| self.is_in(call, node.scope)).map(|call| &*call.at.items).collect();
        items.push(&at.items);
        items.sort_unstable();
        items.dedup();
        let above = at.items.len().saturating_sub(1);
        items.retain(|other| other.get(..above) == at.items.get(..above));
        hold(u32::try_from(items.len()).is_ok_and(|open| open <= concurrency), Invariant::BoundedConcurrency, || {
            format!("{} is one of {} items in work", self.plan.path_at(at), items.len())
        })
    }

    fn is_in(&self, call: &Call, scope: ScopeIx) -> bool {
        let node = self.plan.get(call.at.node);
        call.part == Part::Work && node.is_some_and(|node| node.scope == scope) && self.is_current(call)
    }

    /// Whether a call is not answered. What is dropped because its time is up may be there a little longer.
    fn is_current(&self, call: &Call) -> bool {
        let answered = self.facts.success(&call.at, call.part).is_some();
        !answered && self.facts.next_attempt(&call.at, call.part) == call.attempt
    }
}
