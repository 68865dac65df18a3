//! A run as it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastn_core::plan::{NodeIx, ScopeIx};
use fastn_core::{Error, ErrorKind, Failure, Outcome, Payload, Plan, Record, Result, RunId, Seed, Timestamp};
use fastn_store::{HELD, PAUSED, RunStatus, Then};

use super::cell::Scopes;
use super::contained::Contained;
use super::hand::Hand;
use super::inbox::Signals;
use super::rounds::Rounds;
use super::slot::Slot;
use super::turn::Turn;
use super::undo::Undo;

/// One run of a plan.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(super) plan: Arc<Plan>,
    pub(super) scopes: Scopes,
    pub(super) phase: Phase,
    /// Attempts that were handed out and not answered.
    pub(super) running: u32,
    /// When something happens by itself: ends of sleeps, of waits, and of waits for a retry.
    pub(super) timers: BTreeSet<(Timestamp, Slot)>,
    /// What is to be undone if the run does not succeed, in order of completion.
    pub(super) undo: Undo,
    /// What it was told from outside.
    pub(super) signals: Signals,
    /// The runs whose ends are awaited, and by which nodes.
    pub(super) awaited: BTreeMap<RunId, Slot>,
    /// Whether they were told that the run is ending.
    pub(super) parted: bool,
    /// The loops under way.
    pub(super) rounds: Rounds,
    /// What people have done to it. In a box, since few are steered.
    pub(super) hand: Option<Box<Hand>>,
    /// Of scopes that contain failure, once there was one.
    pub(super) contained: Option<Box<Contained>>,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Work is being done.
    Going,
    /// All work is done; this is the output.
    Complete(Payload),
    /// No new work is begun; what runs is awaited, then what was done is undone.
    Ending { cancelled: bool, failure: Failure },
    /// The run has ended. Nothing follows.
    Over(Outcome),
}

impl Machine {
    /// A run that begins at `time` with this input, and the first things to do.
    ///
    /// # Errors
    /// None is expected: a plan that was checked can be started.
    pub fn start(plan: Arc<Plan>, input: Payload, time: Timestamp) -> Result<(Self, Turn)> {
        let mut turn = Turn::new(time);
        if Seed::is(&input) {
            let mut machine = Self::replay(plan, input, time, &[])?;
            machine.resume(&mut turn)?;
            return Ok((machine, turn));
        }
        let mut machine = Self::empty(plan);
        machine.open_root(input, &mut turn)?;
        machine.drain(&mut turn)?;
        Ok((machine, turn))
    }

    /// A run as it stands after what was recorded of it, without anything to do: see [`Machine::resume`].
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the records are not of a run of this plan.
    pub fn replay(plan: Arc<Plan>, input: Payload, created_at: Timestamp, records: &[Record]) -> Result<Self> {
        let mut machine = Self::empty(plan);
        // What was to be done at the time is known from the state; what followed from an event was recorded after it.
        let mut turn = Turn::new(created_at);
        match Seed::read(&input)? {
            None => machine.open_root(input, &mut turn)?,
            Some(seed) => machine.plant(seed, created_at)?,
        }
        for record in records {
            turn = Turn::new(record.time);
            machine.apply(&record.event, &mut turn)?;
        }
        Ok(machine)
    }

    /// Begins with what another run has done. It began just now all the same, and undoes only what it does itself.
    fn plant(&mut self, seed: Seed, time: Timestamp) -> Result<()> {
        self.open_root(seed.input, &mut Turn::new(time))?;
        for record in &seed.records {
            self.apply(&record.event, &mut Turn::new(time))?;
        }
        self.undo = Undo::default();
        Ok(())
    }

    fn empty(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            scopes: Scopes::default(),
            phase: Phase::Going,
            running: 0,
            timers: BTreeSet::new(),
            undo: Undo::default(),
            signals: Signals::default(),
            awaited: BTreeMap::new(),
            parted: false,
            rounds: Rounds::new(),
            hand: None,
            contained: None,
        }
    }

    pub(super) fn by_hand(&mut self) -> &mut Hand {
        self.hand.get_or_insert_default()
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// How the run ended; `None` while it has not.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            Phase::Over(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// How many attempts are under way.
    pub const fn running(&self) -> u32 {
        self.running
    }

    /// When something happens by itself next.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        if self.is_paused() {
            return None;
        }
        let of_nodes = self.timers.first().map(|(time, _)| *time);
        let of_scopes = self.contained.as_deref().and_then(|contained| contained.retries.first());
        let undo = self.undo.run.retries_at().into_iter().chain(of_scopes.map(|(time, _)| *time));
        of_nodes.into_iter().chain(undo).min()
    }

    /// What is next for the run.
    pub fn then(&self) -> Then {
        match (&self.phase, self.wakes_at()) {
            (Phase::Over(outcome), _) => Then::End(status_of(outcome)),
            _ if self.running == 0 && self.is_paused() => Then::Wait(PAUSED),
            (_, None) if self.running == 0 && self.doubts() > 0 => Then::Wait(HELD),
            // For ever, unless something comes from outside: a signal, or the end of another run.
            (_, time) if self.running == 0 => Then::Wait(time.unwrap_or(Timestamp::MAX)),
            _ => Then::Run,
        }
    }
}

/// The status a run has after it ended like this.
pub(crate) fn status_of(outcome: &Outcome) -> RunStatus {
    match outcome {
        Outcome::Succeeded(_) => RunStatus::Succeeded,
        Outcome::Failed(_) => RunStatus::Failed,
        Outcome::Cancelled(_) => RunStatus::Cancelled,
        // An outcome this build does not know is for a person to look at.
        _ => RunStatus::Stuck,
    }
}

/// The whole workflow as a scope.
pub(super) const ROOT: ScopeIx = ScopeIx(0);

pub(super) fn corrupt(what: &'static str, node: NodeIx) -> Error {
    Error::new(ErrorKind::Corrupt, "replay run").with("node", node.0).caused_by(what)
}
