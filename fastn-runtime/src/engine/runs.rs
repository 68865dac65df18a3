//! The runs of an engine's store.

use std::sync::Arc;

use fastn_core::{
    By, Decision, Draft, Error, ErrorKind, Origin, Outcome, Payload, Plan, Record, Result, RunId, Seed, Signal, Tag,
    TenantId,
};
use fastn_store::{History, Page, RunKey, RunQuery, RunSummary};
use serde::Serialize;

use super::command::{Command, Which};
use super::core::Core;
use super::explain::{Explanation, Held, Paused};
use super::handle::RunHandle;
use super::signals::SendSignal;
use super::steer::{self, AuditPage, AuditQuery, Fork, Matching, RunFilter, Steered, Steering};
use crate::machine::Machine;

/// The runs of an engine's store: to list, inspect, tell something and cancel.
#[derive(Clone, Debug)]
pub struct Runs {
    core: Arc<Core>,
}

/// A run with everything that is recorded of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The run and its records.
    pub history: History,
    /// How it ended; `None` while it has not.
    pub outcome: Option<Outcome>,
    /// Why nothing happens, if it is for a reason that will not go away by itself.
    pub waits_for: Option<String>,
    /// Why it is to be cancelled, if somebody has asked for that and no executor that serves it has recorded it yet. The
    /// request stays until one does.
    pub cancelling: Option<String>,
    /// Where it comes from, if it began with what another run had done. What it was given is its input proper then.
    pub origin: Option<Origin>,
    /// What it began with of that: nothing for most.
    pub inherited: Vec<Record>,
    /// That it is paused, if it is.
    pub paused: Option<Paused>,
    /// Who wants it paused and why, if somebody has asked for that and no executor has recorded it yet.
    pub pausing: Option<By>,
}

impl Runs {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Lists runs, newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn list(&self, query: RunQuery) -> Result<Page> {
        self.core.services.look()?.list(query).await
    }

    /// The plan that a run was started with, also when this engine does not serve it; `None` if the store was given none.
    ///
    /// # Errors
    /// If the store cannot be read.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn plan(&self, run: &RunSummary) -> Result<Option<Plan>> {
        let text = self.core.services.look()?.plan(&run.key.tenant, &run.definition).await?;
        text.map(|text| Ok(Draft::from_editor_json(&text)?.check()?)).transpose()
    }

    /// Everything that is recorded of a run.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none of that id; or if the store cannot be read.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn inspect(&self, tenant: &TenantId, run: RunId) -> Result<Inspection> {
        let key = RunKey { tenant: tenant.clone(), run };
        let history = self.core.services.look()?.read(&key).await?;
        let history = history.ok_or_else(|| Error::new(ErrorKind::NotFound, "find run").with("run", run))?;
        let outcome = history.outcome().cloned();
        let waits_for = self.waits_for(&history).filter(|_| outcome.is_none());
        let (cancelling, pausing) = if outcome.is_none() { self.told(&key).await? } else { (None, None) };
        let paused = Paused::of(&history);
        let (mut history, mut origin, mut inherited) = (history, None, Vec::new());
        if let Some(seed) = Seed::read(&history.input)? {
            (history.input, origin, inherited) = (seed.input, Some(seed.origin), seed.records);
        }
        let strange = !self.core.definitions.contains_key(&history.run.definition);
        let waits_for = waits_for.map(|why| match &cancelling {
            Some(_) if strange => format!("{why}; its cancellation waits for an executor that serves it"),
            _ => why,
        });
        Ok(Inspection { history, outcome, waits_for, cancelling, origin, inherited, paused, pausing })
    }

    /// Why a run is where it is: what is under way, what it waits for, who has it, and what comes next. From what is recorded,
    /// and so for every run of the store, wherever it is; of a workflow that this engine does not serve, by the plan that
    /// it was started with.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none of that id; or if the store cannot be read.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn explain(&self, tenant: &TenantId, run: RunId) -> Result<Explanation> {
        let Inspection { mut history, waits_for, cancelling, paused, pausing, origin, inherited, .. } =
            self.inspect(tenant, run).await?;
        if let Some(origin) = origin {
            history.input = Seed::new(history.input, origin, inherited).write()?;
        }
        let own = self.core.services.tenure().and_then(|tenure| tenure.token());
        let held = match history.run.holder {
            Some(token) if own == Some(token) => Held::Here,
            Some(token) => Held::Elsewhere(token),
            None => Held::Nobody,
        };
        let plan = match self.core.definitions.get(&history.run.definition) {
            Some(served) => Ok(Some(served.definition.plan().clone())),
            None => self.plan(&history.run).await.map(|plan| plan.map(Arc::new)),
        };
        Ok(Explanation { waits_for, cancelling, paused, pausing, ..Explanation::of(history, held, plan)? })
    }

    /// What a run was told and has not recorded yet: to be cancelled, to be paused.
    async fn told(&self, key: &RunKey) -> Result<(Option<String>, Option<By>)> {
        let (mut cancelling, mut pausing) = (None, None);
        for message in self.core.services.look()?.unread(key).await? {
            match Command::decode(&message.body) {
                Ok(Command::Cancel { by }) => cancelling = cancelling.or(Some(by.reason)),
                Ok(Command::Pause { by }) => pausing = Some(by),
                Ok(Command::Resume { .. }) => pausing = None,
                // What this build does not know may be of a later one.
                _ => {}
            }
        }
        Ok((cancelling, pausing))
    }

    fn waits_for(&self, history: &History) -> Option<String> {
        let wanted = &history.run.definition;
        if let Some(served) = self.core.definitions.get(wanted) {
            let idle = history.run.holder.is_none() && !served.lacks.is_empty();
            return idle.then(|| {
                let tags: Vec<&str> = served.definition.plan().requires().iter().map(Tag::as_str).collect();
                let lacks: Vec<&str> = served.lacks.iter().map(Tag::as_str).collect();
                let (tags, lacks) = (tags.join(", "), lacks.join(", "));
                format!("an executor tagged {tags}: none has taken it, and this one lacks {lacks}")
            });
        }
        let same = |key: &&fastn_store::DefinitionKey| key.workflow == wanted.workflow && key.version == wanted.version;
        Some(match self.core.definitions.keys().find(same) {
            Some(served) => format!(
                "{} {} of shape {}; the one served has shape {}: its graph was changed without a new version",
                wanted.workflow, wanted.version, wanted.shape, served.shape
            ),
            None => format!("{} {}, which this engine does not serve", wanted.workflow, wanted.version),
        })
    }

    /// A handle to a run, whose output is taken for an `O`.
    pub fn handle<O>(&self, tenant: &TenantId, run: RunId) -> RunHandle<O> {
        let key = RunKey { tenant: tenant.clone(), run };
        let watch = self.core.watch(&key);
        RunHandle::new(self.core.clone(), key, watch)
    }

    /// Tells a run something: see [`RunHandle::signal`]. Await what this gives.
    pub fn signal<T: Serialize>(&self, tenant: &TenantId, run: RunId, signal: Signal<T>, value: &T) -> SendSignal {
        self.signal_named(tenant, run, signal.name(), Payload::encode(value))
    }

    /// As [`Runs::signal`], with a name and a value that are known only at run time. The value is JSON.
    pub fn signal_named(
        &self,
        tenant: &TenantId,
        run: RunId,
        signal: impl Into<String>,
        value: Result<Payload>,
    ) -> SendSignal {
        SendSignal::new(self.core.clone(), RunKey { tenant: tenant.clone(), run }, signal, value)
    }

    /// Cancels a run: see [`RunHandle::cancel`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn cancel(&self, tenant: &TenantId, run: RunId, by: impl Into<By>) -> Result<bool> {
        steer::cancel(&self.core, &RunKey { tenant: tenant.clone(), run }, &by.into()).await
    }

    /// Pauses a run, wherever it is, and comes back when that is durable. Whether it was not paused before.
    ///
    /// # Contract
    /// * Of a run that is paused nothing begins: no attempt, no retry, no undo, no other run, and no timer goes off. Attempts
    ///   that are under way end, and what they give is recorded; if that was all there was to do, the run ends. A run that
    ///   fails meanwhile undoes nothing before it goes on.
    /// * Signals are recorded, and answer waits; what follows does not begin. So do the ends of other runs that it has
    ///   started, which go on themselves.
    /// * Time goes on: a sleep, a wait or the deadline of the run that passed meanwhile passes when the run goes on.
    /// * It needs no task and no memory as soon as nothing is under way, keeps its place in a queue, and stays paused
    ///   whoever has it: a run whose executor is down, or that waits for its turn, is told before anything of it begins.
    /// * Cancelling it ends the pause.
    ///
    /// A run that another executor has hears of it within moments. One that nobody has just now is told as soon as somebody
    /// has it: until then [`Inspection::pausing`] says so.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is no such run; [`Invalid`](ErrorKind::Invalid) if it is not said who does it,
    /// and [`TooLarge`](ErrorKind::TooLarge) if too much is said; or if the store fails.
    ///
    /// # Cancel safety
    /// Dropping the future does not take it back.
    pub async fn pause(&self, tenant: &TenantId, run: RunId, by: By) -> Result<bool> {
        steer::pause(&self.core, &RunKey { tenant: tenant.clone(), run }, &by).await
    }

    /// Lets a run go on that was paused. Whether it was.
    ///
    /// # Errors
    /// As [`Runs::pause`].
    ///
    /// # Cancel safety
    /// As there.
    pub async fn resume(&self, tenant: &TenantId, run: RunId, by: By) -> Result<bool> {
        steer::resume(&self.core, &RunKey { tenant: tenant.clone(), run }, &by).await
    }

    /// Says what became of a step, in place of what comes of it by itself, and comes back when that is durable: of a step that is
    /// under way, waits for its next attempt, sleeps, waits for a signal or for another run, or
    /// [holds](crate::machine::Doing::Doubt) since its executor died; of an undo that is tried again and again, too. Whether that
    /// meant anything to the run: not if it has got further meanwhile.
    ///
    /// `step` is named as [`explain`](Runs::explain) names it, `lines[3]/label`.
    ///
    /// # Contract
    /// * [`Gave`](Decision::Gave) makes the step done, with this output, which nobody checks: whoever follows takes it for the
    ///   step's own. If it has an undo, that is called with it when the run fails. An undo that gave something is done.
    /// * [`Failed`](Decision::Failed) makes it fail for good: its `on_error` function takes over if it has one, and otherwise
    ///   the run fails. Of an undo it means that it could not be undone.
    /// * [`Again`](Decision::Again) has the next attempt made now, of a step that waits for it or that holds.
    /// * An attempt that is under way is not cut off; what it gives is not heeded. A run that the step has started is
    ///   cancelled if it belongs to this one, and goes on otherwise.
    /// * Of a `when`, an `each` and a `repeat` nothing can be said: only of what is inside.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is no such run, or no such step of it is under way or waits;
    /// [`Unsupported`](ErrorKind::Unsupported) if its plan is not to be had; [`Invalid`](ErrorKind::Invalid) if the output is not
    /// JSON, or it is not said who says so; [`TooLarge`](ErrorKind::TooLarge) for what is larger than it may be; or if the store
    /// fails.
    ///
    /// # Cancel safety
    /// Dropping the future does not take it back.
    pub async fn decide(&self, tenant: &TenantId, run: RunId, step: &str, decision: Decision, by: By) -> Result<bool> {
        let key = RunKey { tenant: tenant.clone(), run };
        let (which, _) = self.step(&key, step).await?;
        steer::decide(&self.core, &key, (step, which), decision, &by).await
    }

    /// Skips a step: as [`Runs::decide`] with an output of `null`, and for a sleep with what it was given.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn skip(&self, tenant: &TenantId, run: RunId, step: &str, by: By) -> Result<bool> {
        let key = RunKey { tenant: tenant.clone(), run };
        let (which, gives) = self.step(&key, step).await?;
        steer::decide(&self.core, &key, (step, which), Decision::Gave(gives), &by).await
    }

    /// A step of which something can be decided, and what it gives that is skipped.
    async fn step(&self, key: &RunKey, step: &str) -> Result<(Which, Payload)> {
        const OP: &str = "decide step";
        // By the store itself: what is decided counts for this very attempt.
        let history = self.core.services.store()?.read(key).await?;
        let history = history.ok_or_else(|| Error::new(ErrorKind::NotFound, "find run").with("run", key.run))?;
        let missing = || Error::new(ErrorKind::NotFound, OP).with("run", key.run).with("step", step);
        if history.outcome().is_some() {
            return Err(missing().caused_by("the run has ended"));
        }
        let plan = match self.core.definitions.get(&history.run.definition) {
            Some(served) => served.definition.plan().clone(),
            None => Arc::new(steer::plan(&**self.core.services.store()?, &history.run, OP).await?),
        };
        let machine = Machine::replay(plan, history.input, history.run.created_at, &history.records)?;
        let found = machine.attempts()?.into_iter().find(|(path, ..)| path == step);
        let (_, at, part, attempt) = found.ok_or_else(|| missing().caused_by("it is neither under way nor waits"))?;
        let gives = machine.skipped(&at);
        Ok((Which { at, part, attempt }, gives))
    }

    /// Starts a **new run** of the same workflow, version and tenant that begins with what this one has done, and gives its id. The
    /// old run stays as it is, and [`Inspection::origin`] of the new one says where it comes from. Whoever serves the workflow takes
    /// it; it waits in no queue.
    ///
    /// # Contract
    /// * Kept is what is done and does not come after the step: what it gave is not made again. So are items of an `each` beside that
    ///   of the step, rounds of a `repeat` before its round, and the choice of a `when` around it.
    /// * What the old run has undone, or whose undo was said to be done, is made again, with all that comes after it.
    /// * What was not done begins anew: a sleep lasts its whole time, a wait waits, another run is started as another. A signal goes with
    ///   the wait that it answered; one that nobody has taken is kept.
    /// * The new run **undoes only what it does itself**. What it has kept belongs to the old one; if that goes on and undoes it, the new
    ///   one does not notice.
    /// * Its deadline and those of its steps count from its own start.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is no such run, or no such step in it; [`Conflict`](ErrorKind::Conflict) if it is just
    /// ending, or the id is that of another run; [`Invalid`](ErrorKind::Invalid) if it has not failed and no step is said, if what was said cannot be
    /// where the step stands, or it is not said who wants it; [`Unsupported`](ErrorKind::Unsupported) if its plan is not to be had, or
    /// has what contains failure: a `try`, a `race`, or an `each` that tolerates failures; [`TooLarge`](ErrorKind::TooLarge) if what is kept is larger than 64 MiB; or if the store fails.
    ///
    /// # Cancel safety
    /// Dropping the future does not take it back. With an [id](Fork::id) it does no harm to ask again.
    pub async fn fork(&self, tenant: &TenantId, run: RunId, how: Fork, by: By) -> Result<RunId> {
        steer::fork(&self.core, &RunKey { tenant: tenant.clone(), run }, how, &by).await
    }

    /// How many runs there are of a filter, and some of them: what [`Runs::steer_all`] is about, to be looked at first.
    ///
    /// # Errors
    /// If the store cannot be read.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn matching(&self, filter: &RunFilter) -> Result<Matching> {
        steer::matching(self.core.services.store()?, filter).await
    }

    /// Cancels, pauses or lets go on the runs of a filter, newest first, at most as many as it says: the next page begins at
    /// [`Steered::next`]. Each is listed by itself in the [audit](Runs::audit). One of which it cannot be done keeps no other from
    /// it; but when the store or the engine fails, the rest is left. Runs that are started meanwhile are none of them.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if it is not said who does it; [`TooLarge`](ErrorKind::TooLarge) if too much is said; or if the
    /// store cannot be read.
    ///
    /// # Cancel safety
    /// Dropping the future does not take back what was done. Doing it again does no harm.
    pub async fn steer_all(&self, filter: &RunFilter, steering: Steering, by: By) -> Result<Steered> {
        steer::steer_all(&self.core, filter, steering, &by).await
    }

    /// Who did what to which run, when and why. An entry is written before its deed is done, and is kept for as long as
    /// [`EngineBuilder::keep_audit`](super::EngineBuilder::keep_audit) says, whatever becomes of the run. What a program does
    /// without saying who is not listed.
    ///
    /// # Errors
    /// If the store cannot be read.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn audit(&self, query: AuditQuery) -> Result<AuditPage> {
        steer::audit(&**self.core.services.store()?, &query).await
    }
}
