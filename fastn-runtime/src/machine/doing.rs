//! What the nodes of a run are up to, for people who ask.

use std::fmt;

use fastn_core::plan::NodeKind;
use fastn_core::{Address, Attempt, Failure, Part, Result, RunId, Timestamp};

use super::cell::State;
use super::slot::{ScopeId, Slot};
use super::state::{Machine, Phase};
use super::undo::{Current, Stack};

/// A node that is being worked on, or that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Activity {
    /// Its path, with the items around it.
    pub node: String,
    /// What it is up to.
    pub doing: Doing,
}

/// What a node is up to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doing {
    /// An attempt is under way, or is made as soon as somebody has the run.
    Attempt {
        /// Of which of its functions.
        part: Part,
        /// Which one.
        attempt: Attempt,
    },
    /// The attempt before failed, and the next is due at a time, which may have come.
    Retry {
        /// Of which of its functions.
        part: Part,
        /// Which one is next.
        attempt: Attempt,
        /// When it is due.
        at: Timestamp,
    },
    /// It sleeps.
    Sleep {
        /// Until when.
        until: Timestamp,
    },
    /// It waits for a signal.
    Wait {
        /// The signal.
        signal: String,
        /// Until when; without end, if absent.
        until: Option<Timestamp>,
    },
    /// An attempt that may be made once was under way when its executor died, and a person has to
    /// [say](crate::Runs::decide) what became of it.
    Doubt {
        /// Which one.
        attempt: Attempt,
    },
    /// It waits for the end of a run that it has started.
    Run {
        /// The run, of the same tenant.
        run: RunId,
        /// When that is cancelled for taking too long; never, if absent.
        until: Option<Timestamp>,
    },
}

impl Machine {
    /// What is under way or waited for, in the order of the plan. After [`Machine::replay`] as far as it was recorded.
    ///
    /// # Errors
    /// [`Corrupt`](fastn_core::ErrorKind::Corrupt), which is not expected after a replay that succeeded.
    pub fn activities(&self) -> Result<Vec<Activity>> {
        let mut found = Vec::new();
        for (scope, state) in self.scopes.iter() {
            for (node, cell) in state.cells() {
                if let Some(doing) = self.doing(scope, &cell.state, &self.plan.node(node).kind) {
                    found.push((self.address(Slot { scope, node })?, doing));
                }
            }
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        found.extend(self.undoing());
        let activity = |(at, doing)| Activity { node: self.plan.path_at(&at), doing };
        Ok(found.into_iter().map(activity).collect())
    }

    /// The attempts of which something can be [decided](Machine::decide), each with its path as [`Machine::activities`] has it.
    ///
    /// # Errors
    /// As [`Machine::activities`].
    pub fn attempts(&self) -> Result<Vec<(String, Address, Part, Attempt)>> {
        let mut found = Vec::new();
        for (scope, state) in self.scopes.iter() {
            for (node, cell) in state.cells() {
                let (part, attempt) = match &cell.state {
                    State::Running(tried)
                    | State::Backoff(tried, _)
                    | State::Waiting(tried, _)
                    | State::Awaiting(tried, ..)
                    | State::Doubted(tried) => (tried.part, tried.attempt),
                    State::Sleeping(_) => (Part::Work, Attempt::FIRST),
                    _ => continue,
                };
                let at = self.address(Slot { scope, node })?;
                found.push((self.plan.path_at(&at), at, part, attempt));
            }
        }
        for (at, doing) in self.undoing() {
            if let Doing::Attempt { part, attempt } | Doing::Retry { part, attempt, .. } = doing {
                found.push((self.plan.path_at(&at), at, part, attempt));
            }
        }
        Ok(found)
    }

    /// Why no new work is begun, if that is so: what was done is being undone, or about to be.
    pub fn ends_for(&self) -> Option<&Failure> {
        match &self.phase {
            Phase::Ending { failure, .. } => Some(failure),
            _ => None,
        }
    }

    /// How much is left to undo.
    pub fn to_undo(&self) -> usize {
        let scopes = self.contained.iter().flat_map(|contained| contained.unwinding.values());
        let in_scopes: usize = scopes.map(|unwinding| unwinding.stack.done.len()).sum();
        in_scopes + if self.ends_for().is_some() { self.undo.run.done.len() } else { 0 }
    }

    fn doing(&self, scope: ScopeId, state: &State, kind: &NodeKind) -> Option<Doing> {
        let going = self.goes_in(scope);
        Some(match state {
            State::Running(tried) => Doing::Attempt { part: tried.part, attempt: tried.attempt },
            // Nothing of these comes of itself any more, once the run is ending or what they stand in is given up.
            State::Backoff(next, at) if going => Doing::Retry { part: next.part, attempt: next.attempt, at: *at },
            State::Doubted(tried) => Doing::Doubt { attempt: tried.attempt },
            State::Sleeping(until) if going => Doing::Sleep { until: *until },
            State::Waiting(_, until) if going => {
                let NodeKind::Wait(signal) = kind else { return None };
                Doing::Wait { signal: signal.name.clone().into_owned(), until: *until }
            }
            State::Awaiting(_, run, until) => Doing::Run { run: *run, until: *until },
            _ => return None,
        })
    }

    /// What is undone just now: of the run, or of scopes of it that are given up.
    fn undoing(&self) -> Vec<(Address, Doing)> {
        let scopes = self.contained.iter().flat_map(|contained| contained.unwinding.values());
        let scopes = scopes.filter_map(|unwinding| undone_now(&unwinding.stack, unwinding.open == 0));
        let free = self.running == 0 && self.awaited.is_empty() && !self.is_unwinding();
        let run = self.ends_for().and_then(|_| undone_now(&self.undo.run, free));
        scopes.chain(run).collect()
    }
}

/// What is undone just now. Replay knows of an undo only when it is answered, so there it is the next if nothing is awaited.
fn undone_now(stack: &Stack, free: bool) -> Option<(Address, Doing)> {
    let next = stack.done.last()?;
    let part = next.part;
    let doing = match &stack.current {
        Some(Current::Running(tried)) => Doing::Attempt { part, attempt: tried.attempt },
        Some(Current::Backoff(again, at)) => Doing::Retry { part, attempt: again.attempt, at: *at },
        None if free => Doing::Attempt { part, attempt: Attempt::FIRST },
        None => return None,
    };
    Some((next.at.clone(), doing))
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, doing } = self;
        let until = |until: &Option<Timestamp>| until.map(|until| format!(", until {until}")).unwrap_or_default();
        match doing {
            Doing::Attempt { part: Part::Work, attempt } => write!(f, "{node}: attempt {attempt} is under way"),
            Doing::Attempt { part, attempt } => {
                write!(f, "{node}: attempt {attempt} of its {} is under way", part.as_str())
            }
            Doing::Retry { part: Part::Work, attempt, at } => write!(f, "{node}: attempt {attempt} is due at {at}"),
            Doing::Retry { part, attempt, at } => {
                write!(f, "{node}: attempt {attempt} of its {} is due at {at}", part.as_str())
            }
            Doing::Doubt { attempt } => {
                write!(
                    f,
                    "{node}: the executor died during attempt {attempt}; whether its effect took place is not known, and a person has to say"
                )
            }
            Doing::Sleep { until } => write!(f, "{node} sleeps until {until}"),
            Doing::Wait { signal, until: end } => write!(f, "{node} waits for the signal {signal}{}", until(end)),
            Doing::Run { run, until: end } => write!(f, "{node} waits for the end of run {run}{}", until(end)),
        }
    }
}
