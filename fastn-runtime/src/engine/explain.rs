//! Why a run is where it is.

use std::fmt;
use std::sync::Arc;

use fastn_core::{By, Event, Failure, Outcome, Plan, Result, Timestamp};
use fastn_store::{History, RunStatus, RunSummary};

use crate::machine::{Activity, Machine};

/// Why a run is where it is, as far as it is recorded: what is under way, what it waits for, who has it, and what comes next.
/// It prints as lines for people.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The run.
    pub run: RunSummary,
    /// Who has it.
    pub held: Held,
    /// How it ended; `None` while it has not.
    pub outcome: Option<Outcome>,
    /// What is under way or waited for, in the order of the plan.
    pub activities: Vec<Activity>,
    /// Why no new work is begun, if that is so: it has failed or was cancelled, and what was done is undone before it ends.
    pub ends_for: Option<Failure>,
    /// How much is left to undo then.
    pub to_undo: usize,
    /// When something happens by itself next, if nothing comes from outside before.
    pub next: Option<Timestamp>,
    /// Why nothing happens, if it is for a reason that will not go away by itself.
    pub waits_for: Option<String>,
    /// Why it is to be cancelled, if that was asked for and is not recorded yet.
    pub cancelling: Option<String>,
    /// That nothing new begins since it is paused, if it is.
    pub paused: Option<Paused>,
    /// Who wants it paused and why, if that was asked for and is not recorded yet.
    pub pausing: Option<By>,
    /// Why it is not known what is under way: its plan is not to be had, or its records are not of that plan.
    pub unknown: Option<String>,
}

/// That a run is paused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Paused {
    /// Who has paused it, and why.
    pub by: By,
    /// Since when.
    pub since: Timestamp,
}

impl Paused {
    /// Whether a run is, by its records, whatever its plan.
    pub(super) fn of(history: &History) -> Option<Self> {
        if history.outcome().is_some() {
            return None;
        }
        let last = history.records.iter().rev().find(|record| {
            matches!(record.event, Event::Paused { .. } | Event::Resumed { .. } | Event::CancelRequested { .. })
        });
        match last.map(|record| (&record.event, record.time)) {
            Some((Event::Paused { by, .. }, since)) => Some(Self { by: by.clone(), since }),
            _ => None,
        }
    }
}

/// Who has a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Held {
    /// This engine.
    Here,
    /// Another executor, with the lease of this token; or it has died, and the run will be taken over.
    Elsewhere(u64),
    /// Nobody: it waits in a queue, for somebody who can take it, or it has ended.
    Nobody,
}

impl Explanation {
    /// What the records of a run say, by its plan if that is to be had.
    pub(super) fn of(history: History, held: Held, plan: Result<Option<Arc<Plan>>>) -> Result<Self> {
        let outcome = history.outcome().cloned();
        let mut explanation = Self {
            held,
            outcome,
            activities: Vec::new(),
            ends_for: None,
            to_undo: 0,
            next: None,
            waits_for: None,
            cancelling: None,
            paused: None,
            pausing: None,
            unknown: None,
            run: history.run,
        };
        if explanation.outcome.is_some() {
            return Ok(explanation);
        }
        let plan = match plan {
            Ok(Some(plan)) => plan,
            Ok(None) => return Ok(explanation.unknown("its plan is not in the store".to_owned())),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => return Ok(explanation.unknown(error.chain().join(": "))),
        };
        let created_at = explanation.run.created_at;
        match Machine::replay(plan.clone(), history.input, created_at, &history.records) {
            Ok(machine) => explanation.read(&machine, &plan)?,
            Err(error) => return Ok(explanation.unknown(error.chain().join(": "))),
        }
        Ok(explanation)
    }

    fn unknown(self, why: String) -> Self {
        Self { unknown: Some(why), ..self }
    }

    fn read(&mut self, machine: &Machine, plan: &Plan) -> Result<()> {
        let deadline = plan.deadline().map(|most| self.run.created_at.plus(most));
        let deadline = deadline.filter(|_| machine.expire().is_some());
        self.activities = machine.activities()?;
        self.ends_for = machine.ends_for().cloned();
        self.to_undo = machine.to_undo();
        self.next = machine.wakes_at().into_iter().chain(deadline).min();
        Ok(())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RunSummary { key, definition, status, .. } = &self.run;
        write!(f, "run {} of {} {}", key.run, definition.workflow, definition.version)?;
        if let Some(outcome) = &self.outcome {
            return write!(f, " has ended: {outcome}");
        }
        match (self.held, status) {
            (Held::Here, _) => write!(f, " is {status}, in this engine")?,
            (Held::Elsewhere(token), _) => write!(f, " is {status}, in the executor with lease {token}")?,
            (Held::Nobody, RunStatus::Pending) => f.write_str(" is pending: nobody has taken it yet")?,
            (Held::Nobody, _) => write!(f, " is {status}, and nobody has it just now")?,
        }
        if let Some(why) = &self.ends_for {
            write!(f, "\nit ends, with {} to undo, because: {why}", self.to_undo)?;
        }
        for activity in &self.activities {
            write!(f, "\n  {activity}")?;
        }
        if let Some(Paused { by, since }) = &self.paused {
            write!(f, "\nit is paused since {since} {by}")?;
        }
        if let Some(by) = &self.pausing {
            write!(f, "\nit is to be paused {by}")?;
        }
        let said = [("it waits for", &self.waits_for), ("it is to be cancelled", &self.cancelling)];
        for (what, why) in said.into_iter().filter_map(|(what, why)| Some((what, why.as_ref()?))) {
            write!(f, "\n{what}: {why}")?;
        }
        if let Some(unknown) = &self.unknown {
            write!(f, "\nwhat is under way is not known here: {unknown}")?;
        }
        match self.next {
            Some(time) => write!(f, "\nby itself something happens next at {time}"),
            None => Ok(()),
        }
    }
}
