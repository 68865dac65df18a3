//! Runs that begin with what another one has done.

use std::sync::Arc;

use fastn_core::Origin;
use fastn_core::{
    Address, Attempt, By, Decision, Error, ErrorKind, Event, Part, Payload, Plan, Record, Result, RunId, Seed,
};
use fastn_store::{Batch, NewRun, RunKey, Write, Written};
use serde::Serialize;

use super::deed::Deed;
use super::{ledger, order};
use crate::engine::core::Core;
use crate::engine::same::check_existing;
use crate::machine::{Machine, inherit};
use crate::patience::patiently;

const OP: &str = "fork run";

/// The largest seed, in bytes, if payloads may not be larger.
const MOST: usize = 64 << 20;

/// From where on a new run does otherwise than the one that it begins with.
#[derive(Debug)]
#[must_use = "a fork is what `Runs::fork` is told"]
pub struct Fork {
    step: Option<String>,
    input: Option<Result<Payload>>,
    gives: Option<Result<Payload>>,
    id: Option<RunId>,
}

impl Fork {
    /// From this step on, named as [`explain`](crate::Runs::explain) and the records name it: it is made again, and so is all that
    /// comes after it.
    pub fn from_step(step: impl Into<String>) -> Self {
        Self { step: Some(step.into()), input: None, gives: None, id: None }
    }

    /// From where the run failed or was cancelled: what was not done is made, and what was undone is made again with all that
    /// comes after it.
    pub const fn from_failure() -> Self {
        Self { step: None, input: None, gives: None, id: None }
    }

    /// The new run is given this. What is kept of the old one was made of the old input.
    pub fn input<T: Serialize + ?Sized>(mut self, input: &T) -> Self {
        self.input = Some(Payload::encode(input));
        self
    }

    /// The step is not made: it gave this.
    pub fn gives<T: Serialize + ?Sized>(mut self, output: &T) -> Self {
        self.gives = Some(Payload::encode(output));
        self
    }

    /// The new run gets this id: asking twice is asking once.
    pub const fn id(mut self, run: RunId) -> Self {
        self.id = Some(run);
        self
    }
}

/// Starts a run that begins with what another one has done, and gives its id.
pub(in crate::engine) async fn fork(core: &Arc<Core>, key: &RunKey, how: Fork, by: &By) -> Result<RunId> {
    order::must_say_who(core, by, OP)?;
    let store = core.services.store()?;
    let history = store.read(key).await?;
    let history = history.ok_or_else(|| Error::new(ErrorKind::NotFound, OP).with("run", key.run))?;
    let definition = history.run.definition.clone();
    let plan = match core.definitions.get(&definition) {
        Some(served) => served.definition.plan().clone(),
        None => Arc::new(order::plan(&**store, &history.run, OP).await?),
    };
    // What is left of a scope that was given up is not in the records of its steps.
    if plan.has_containers() {
        let why = "what contains failure, such as a `try` or a `race`, cannot be cut: start it anew";
        return Err(Error::new(ErrorKind::Unsupported, OP).with("run", key.run).caused_by(why));
    }
    let now = core.services.clock.now();
    let machine = Machine::replay(plan.clone(), history.input.clone(), history.run.created_at, &history.records)?;
    let (given, mut records) = match Seed::read(&history.input)? {
        Some(seed) => (seed.input, seed.records),
        None => (history.input, Vec::new()),
    };
    records.extend(history.records);
    let again = begin(&plan, &machine, &records, how.step.as_deref()).map_err(|error| error.with("run", key.run))?;
    let mut kept = inherit(&plan, &records, &again);
    let id = how.id.unwrap_or_else(|| core.services.chance.run_id(now));
    if let (Some(gives), Some(at)) = (how.gives, again.into_iter().next()) {
        let (part, attempt, decision) = (Part::Work, Attempt::FIRST, Decision::Gave(gives?));
        let event = Event::Decided { id: *id.as_bytes(), at, part, attempt, decision, by: Box::new(by.clone()) };
        kept.push(Record { time: now, event });
    }
    let origin = Origin::new(key.run, how.step.clone(), by.clone());
    let seed = Seed::new(how.input.unwrap_or(Ok(given))?, origin, kept).write()?;
    let most = core.services.limits.payload.max(MOST);
    if seed.len() > most {
        return Err(Error::new(ErrorKind::TooLarge, OP).with("seed", seed.len()).with("most", most));
    }
    // Whoever asks is told, and not whoever takes the run.
    let begins = Machine::replay(plan, seed.clone(), now, &[]);
    begins.map_err(|error| Error::new(ErrorKind::Invalid, OP).with("run", key.run).caused_by(error))?;
    let new = RunKey { tenant: key.tenant.clone(), run: id };
    let new = Arc::new(NewRun { key: new, definition, plan: None, input: seed, created_at: now });
    let deed = || Deed::Fork { run: id, step: how.step.clone() };
    ledger::audited(core, key, deed, by, |_| None, create(core, new)).await
}

/// In nobody's hands: whoever serves it takes it.
async fn create(core: &Arc<Core>, new: Arc<NewRun>) -> Result<RunId> {
    let Some(durable) = core.services.durable() else { return Err(Error::new(ErrorKind::Unsupported, OP)) };
    let clock = &*core.services.clock;
    let batch = || Batch { lease: None, now: clock.now(), writes: vec![Write::Create(new.clone())] };
    let written = patiently(clock, durable.patience, || durable.store.commit(batch())).await?;
    match written.into_iter().next() {
        Some(Written::Created(_)) => Ok(new.key.run),
        Some(Written::Exists(existing)) => check_existing(&new, &existing).map(|()| new.key.run),
        _ => Err(Error::new(ErrorKind::Internal, OP).caused_by("the store mistook a creation")),
    }
}

/// What is made again whatever became of it.
fn begin(plan: &Plan, machine: &Machine, records: &[Record], step: Option<&str>) -> Result<Vec<Address>> {
    let over = machine.outcome();
    if over.is_none() && machine.ends_for().is_some() {
        return Err(Error::new(ErrorKind::Conflict, OP).caused_by("it is ending, and what it did is being undone"));
    }
    let Some(step) = step else {
        return match over {
            Some(fastn_core::Outcome::Succeeded(_)) | None => {
                Err(Error::new(ErrorKind::Invalid, OP).caused_by("it has not failed"))
            }
            _ => Ok(Vec::new()),
        };
    };
    let of = |record: &Record| record.event.address().filter(|at| plan.path_at(at) == step).cloned();
    let whole = || plan.find(step).map(|node| Address { node, items: Vec::new() });
    let found = records.iter().find_map(of).or_else(whole);
    let missing =
        || Error::new(ErrorKind::NotFound, OP).with("step", step).caused_by("there is no such step in the run");
    found.map(|at| vec![at]).ok_or_else(missing)
}
