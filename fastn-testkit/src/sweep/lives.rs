//! Living and dying.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastn_core::{BoxFuture, By, Decision, Draft, ErrorKind, Failure, FailureKind, Plan, Result, Timestamp};
use fastn_runtime::machine::{Activity, Doing};
use fastn_runtime::{Clock, Engine, EngineBuilder, RunHandle};
use fastn_store::{Batch, HELD, History, MemoryStore, RunQuery, RunStatus, RunSummary, Store};

use super::mortal::{Death, MortalStore};
use super::promises::{Life, Lives};
use super::report::{BrokenPromise, Swept};
use crate::clock::ManualClock;
use crate::effects::Effects;

/// How long one life may take before the run is said to hang.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many runs there may be: the one that is started, and those that it starts.
const MOST_RUNS: u32 = 10_000;
/// How often it is looked once more where the store was away: more often than it keeps connections.
const TRIES: usize = 20;

/// Looks once more where the store was away: the connections of a life end with it, and the store may not know yet.
macro_rules! again {
    ($look:expr) => {{
        let mut tries = 0;
        loop {
            match $look.await {
                Err(error) if error.is_transient() && tries < TRIES => tries += 1,
                found => break found,
            }
        }
    }};
}

/// More than any lease lasts.
const BETWEEN_LIVES: Duration = Duration::from_secs(120);

type Fresh = Box<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn Store>>> + Send + Sync>;

/// Runs a workflow, dying before and after each call to the store, and checks what is promised.
///
/// Time is the sweep's own: when nothing happens before a time, it is that time.
///
/// The run may start others, of other workflows that the engine serves: of those there must be as many in the end as without a
/// death. What their steps do is noted elsewhere, if at all.
#[must_use = "a sweep is made by `run`"]
pub struct CrashSweep<B, S> {
    effects: Effects,
    builder: B,
    start: S,
    fresh: Fresh,
    again: bool,
}

impl<B, S, I, O> CrashSweep<B, S>
where
    B: Fn(EngineBuilder) -> EngineBuilder + Sync,
    S: Fn(&Engine) -> I + Sync,
    I: IntoFuture<Output = Result<RunHandle<O>>>,
{
    /// A sweep over a workflow whose steps note what they do into `effects`. `builder` says which workflows the engine
    /// serves and what else it needs; its store and clock are the sweep's. `start` starts one run, with a key or an id,
    /// since a host that was told nothing starts again.
    pub fn new(effects: &Effects, builder: B, start: S) -> Self {
        let fresh: Fresh = Box::new(|| Box::pin(async { Ok(Arc::new(MemoryStore::new()) as Arc<dyn Store>) }));
        Self { effects: effects.clone(), builder, start, fresh, again: false }
    }

    /// Keeps runs in fresh stores of another kind than [`MemoryStore`].
    pub fn on<F>(mut self, fresh: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Arc<dyn Store>>> + Send + 'static,
    {
        self.fresh = Box::new(move || Box::pin(fresh()));
        self
    }

    /// Lets the process that takes over die as well, before and after each of its calls.
    pub fn twice(mut self) -> Self {
        self.again = true;
        self
    }

    /// Makes the sweep.
    ///
    /// # Errors
    /// The first promise that was not kept.
    pub fn run(self) -> std::result::Result<Swept, Box<BrokenPromise>> {
        self.effects.take();
        let (undisturbed, plan) = {
            let mut trial = Trial::new(&self, &[])?;
            let life = trial.live(None)?;
            let plan = trial.plan()?;
            let lives = Lives { plan: &plan, lives: std::slice::from_ref(&life), undisturbed: &life };
            lives.check().map_err(|what| trial.broken(what))?;
            (life, plan)
        };
        let mut swept = Swept::default();
        for first in deaths() {
            if !self.die_at(&[first], &undisturbed, &plan, &mut swept)? {
                break;
            }
            for second in deaths().take_while(|_| self.again) {
                if !self.die_at(&[first, second], &undisturbed, &plan, &mut swept)? {
                    break;
                }
            }
            swept.calls = first.call.saturating_add(1);
        }
        Ok(swept)
    }

    /// Finishes one run in spite of these deaths. Whether all of them took place.
    fn die_at(
        &self,
        deaths: &[Death],
        undisturbed: &Life,
        plan: &Plan,
        swept: &mut Swept,
    ) -> std::result::Result<bool, Box<BrokenPromise>> {
        let mut trial = Trial::new(self, deaths)?;
        let mut lives = Vec::new();
        for death in deaths {
            lives.push(trial.live(Some(*death))?);
        }
        let died = lives.iter().filter(|life| life.died).count();
        if lives.last().is_some_and(|life| life.died) {
            lives.push(trial.live(None)?);
        }
        let lives = Lives { plan, lives: &lives, undisturbed };
        lives.check().map_err(|what| trial.broken(what))?;
        if died < deaths.len() {
            return Ok(false);
        }
        swept.deaths = swept.deaths.saturating_add(died);
        swept.unknown = swept.unknown.saturating_add(usize::from(lives.unknown()));
        for (name, count) in &undisturbed.noted {
            let repeated = swept.repeated.entry(name.clone()).or_default();
            *repeated = repeated.saturating_add(usize::from(lives.noted(name) > *count));
        }
        Ok(true)
    }
}

impl<B, S> fmt::Debug for CrashSweep<B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrashSweep").field("again", &self.again).finish_non_exhaustive()
    }
}

/// Every place at which a process can die.
fn deaths() -> impl Iterator<Item = Death> {
    (0..).flat_map(|call| [false, true].map(|after| Death { call, after }))
}

/// One store and the lives on it.
struct Trial<'a, B, S> {
    sweep: &'a CrashSweep<B, S>,
    store: Arc<dyn Store>,
    clock: ManualClock,
    deaths: &'a [Death],
    /// Keeps what the store may have started on it.
    runtime: tokio::runtime::Runtime,
}

impl<'a, B, S, I, O> Trial<'a, B, S>
where
    B: Fn(EngineBuilder) -> EngineBuilder + Sync,
    S: Fn(&Engine) -> I + Sync,
    I: IntoFuture<Output = Result<RunHandle<O>>>,
{
    fn new(sweep: &'a CrashSweep<B, S>, deaths: &'a [Death]) -> std::result::Result<Self, Box<BrokenPromise>> {
        let broken = |what: String| Box::new(BrokenPromise { deaths: Vec::new(), what });
        // With a thread of its own: a store may have tasks that go on while nobody waits for it.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| broken(error.to_string()))?;
        let store =
            on_a_thread(|| runtime.block_on((sweep.fresh)())).map_err(|error| broken(error.chain().join(": ")))?;
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        Ok(Self { sweep, store, clock, deaths, runtime })
    }

    fn broken(&self, what: impl Into<String>) -> Box<BrokenPromise> {
        Box::new(BrokenPromise { deaths: self.deaths.iter().map(Death::to_string).collect(), what: what.into() })
    }

    /// Lives until death or, without one, until the run has ended.
    fn live(&mut self, death: Option<Death>) -> std::result::Result<Life, Box<BrokenPromise>> {
        let mortal = Arc::new(MortalStore::new(self.store.clone(), death));
        let (died, acknowledged) = (mortal.died(), AtomicBool::new(false));
        // A runtime of its own: when it is dropped, everything of that life is gone at once, as with a process.
        let lived = on_a_thread(|| {
            runtime()?.block_on(async {
                tokio::select! {
                    biased;
                    () = died.cancelled() => Ok(()),
                    () = self.pass_time() => Ok(()),
                    ended = self.do_all(mortal, &acknowledged) => ended.map_err(|error| error.chain().join(": ")),
                    () = tokio::time::sleep(PATIENCE) => Err(format!("the run did not end within {PATIENCE:?}")),
                }
            })
        });
        lived.map_err(|what| self.broken(what))?;
        let (history, started) = self.look().map_err(|what| self.broken(what))?;
        self.clock.advance(BETWEEN_LIVES);
        let noted = self.sweep.effects.take_counts();
        Ok(Life { noted, history, started, acknowledged: acknowledged.into_inner(), died: died.is_cancelled() })
    }

    /// What a host does: opens an engine, starts, waits for the end, and shuts down.
    async fn do_all(&self, store: Arc<dyn Store>, acknowledged: &AtomicBool) -> Result<()> {
        let builder = (self.sweep.builder)(Engine::builder());
        let engine = builder.store(store).clock(Arc::new(self.clock.clone())).open().await?;
        let run = (self.sweep.start)(&engine).into_future().await?;
        acknowledged.store(true, Ordering::SeqCst);
        tokio::select! {
            biased;
            ended = run.outcome() => drop(ended?),
            failed = self.decide(&engine) => failed?,
        }
        drop(run);
        engine.shutdown().await
    }

    /// What a person does: says of steps whose executor died that they failed, since nobody knows better.
    async fn decide(&self, engine: &Engine) -> Result<()> {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            match self.decide_all(engine).await {
                // The next time it is there.
                Err(error) if error.is_transient() => {}
                decided => decided?,
            }
        }
    }

    async fn decide_all(&self, engine: &Engine) -> Result<()> {
        let page = self.store.list(RunQuery { status: vec![RunStatus::Waiting], ..RunQuery::default() }).await?;
        for run in page.runs.iter().filter(|run| run.is_held()) {
            let (tenant, id) = (&run.key.tenant, run.key.run);
            for Activity { node, doing, .. } in engine.runs().explain(tenant, id).await?.activities {
                if matches!(doing, Doing::Doubt { .. }) {
                    let failure = Failure::new(FailureKind::OUTCOME_UNKNOWN, "nobody knows").permanent();
                    let by = By::new("sweep", "nobody knows better");
                    match engine.runs().decide(tenant, id, &node, Decision::Failed(failure), by).await {
                        // It was decided a moment ago.
                        Err(error) if error.kind() == ErrorKind::NotFound => {}
                        decided => drop(decided?),
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes it the time for which all runs wait.
    async fn pass_time(&self) {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let Ok(page) = self.store.list(RunQuery::default()).await else { continue };
            let open: Vec<&RunSummary> = page.runs.iter().filter(|run| !run.status.is_final()).collect();
            let next = open.iter().filter_map(|run| run.wake_at).min();
            if let Some(next) = next.filter(|next| *next < HELD && *next > self.clock.now())
                && open.iter().all(|run| run.status == RunStatus::Waiting)
            {
                self.clock.advance(next.since(self.clock.now()));
            }
        }
    }

    /// The run as it is in the store, that it is the only one which the host has started, and how many others there are.
    fn look(&self) -> std::result::Result<(Option<History>, usize), String> {
        let look = async {
            // Waits for a commit that was under way when its caller died.
            self.store.commit(Batch { lease: None, now: self.clock.now(), writes: Vec::new() }).await?;
            let query = RunQuery { limit: MOST_RUNS, ..RunQuery::default() };
            let runs = again!(self.store.list(query.clone()))?.runs;
            // The one that was there first has started the others.
            let Some(run) = runs.last() else { return Ok((1, (None, 0))) };
            let same = runs.iter().filter(|other| other.definition == run.definition).count();
            let history = again!(self.store.read(&run.key))?;
            Ok((same, (history, runs.len().saturating_sub(1))))
        };
        let looked: Result<(usize, (Option<History>, usize))> = on_a_thread(|| self.runtime.block_on(look));
        match looked.map_err(|error| error.chain().join(": "))? {
            (1, found) => Ok(found),
            (count, _) => {
                Err(format!("there are {count} runs: starts need a key or an id, so that they can be repeated"))
            }
        }
    }

    fn plan(&self) -> std::result::Result<Plan, Box<BrokenPromise>> {
        let (history, _) = self.look().map_err(|what| self.broken(what))?;
        let history = history.ok_or_else(|| self.broken("there is no run"))?;
        let (tenant, definition) = (&history.run.key.tenant, &history.run.definition);
        let find = async { again!(self.store.plan(tenant, definition)) };
        let text =
            on_a_thread(|| self.runtime.block_on(find)).map_err(|error| self.broken(error.chain().join(": ")))?;
        let plan = text.and_then(|text| Draft::from_editor_json(&text).ok()?.check().ok());
        plan.ok_or_else(|| self.broken("the store does not have the plan of the run"))
    }
}

fn runtime() -> std::result::Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())
}

/// Does it where no runtime is, whoever calls.
fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
