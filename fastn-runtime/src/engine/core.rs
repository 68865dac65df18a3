//! What all rooms of the engine share.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastn_connectors::Registry;
use fastn_core::{BoxFuture, Definition, Error, ErrorKind, Outcome, Result, Timestamp};
use fastn_store::{DefinitionKey, RunKey};
use foldhash::HashMap;

use super::pending::Pending;
use super::run::Run;
#[cfg(feature = "schedules")]
use super::schedules::desk::Desk;
use super::services::{Keeper, Services};
use super::watch::Watch;
use crate::clock::within;
use crate::flag::Flag;
use crate::machine::Action;
use crate::tasks::{Owned, Spawner, Tasks};

/// How many runs are brought into memory at a time, at most.
const LOADERS: usize = 64;

/// How long tasks that do not yield are waited for after everything was dropped.
const STUBBORN: Duration = Duration::from_secs(2);

pub(super) struct Core {
    pub(super) services: Services,
    pub(super) registry: Registry,
    pub(super) definitions: HashMap<DefinitionKey, Served>,
    runs: Mutex<HashMap<RunKey, Entry>>,
    /// Held while a run is read and brought into memory, so that nobody goes on from a history that is out of date.
    loading: [tokio::sync::Mutex<()>; LOADERS],
    /// Held for writing from a claim until the claimed runs are in memory, and for reading while one run is loaded: a
    /// run that was claimed could otherwise be loaded, end, and then be taken over as it was when it was claimed.
    pub(super) claiming: tokio::sync::RwLock<()>,
    /// Every run that could be claimed when the engine was opened is in memory.
    pub(super) recovered: Flag,
    #[cfg(feature = "schedules")]
    pub(super) schedules: Desk,
    /// Owns every task of the engine.
    tasks: Arc<Tasks>,
    /// No new runs and attempts.
    stopping: Flag,
    /// Somebody gives the store back, or has.
    given_back: AtomicBool,
}

/// A definition that this engine runs.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) definition: Definition,
    /// Its plan for those who read runs without this program; none if it holds constants that are not JSON.
    pub(super) plan: Option<Arc<str>>,
}

/// A run that is in memory, or that somebody waits for.
struct Entry {
    run: Option<Arc<Run>>,
    watch: Arc<Watch>,
}

impl Entry {
    fn is_of(&self, run: &Arc<Run>) -> bool {
        self.run.as_ref().is_some_and(|held| Arc::ptr_eq(held, run))
    }
}

impl Core {
    pub(super) fn new(
        services: Services,
        registry: Registry,
        definitions: HashMap<DefinitionKey, Served>,
        spawner: Arc<dyn Spawner>,
    ) -> Self {
        Self {
            services,
            registry,
            definitions,
            runs: Mutex::default(),
            loading: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            claiming: tokio::sync::RwLock::default(),
            recovered: Flag::default(),
            #[cfg(feature = "schedules")]
            schedules: Desk::default(),
            tasks: Arc::new(Tasks::new(spawner)),
            stopping: Flag::default(),
            given_back: AtomicBool::new(false),
        }
    }

    /// Starts a task that ends with the engine at the latest.
    pub(super) fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.tasks.spawn(task);
    }

    /// A task of a host's whose end can be awaited. It ends with whoever waits for it, and so with the engine.
    pub(super) fn spawn_attempt<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Owned<T> {
        self.tasks.spawn_owned(task)
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunKey, Entry>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a run into memory, watched by those who waited for it already, and gives what is to be done first. `None` if
    /// it is there already. Nobody sees the run before its first turn was taken.
    pub(super) fn admit(
        &self,
        key: &RunKey,
        make: impl FnOnce(Arc<Watch>) -> Result<(Arc<Run>, Pending)>,
    ) -> Result<(Arc<Run>, Option<Pending>)> {
        Self::admit_to(&mut self.runs(), key, make)
    }

    fn admit_to(
        runs: &mut HashMap<RunKey, Entry>,
        key: &RunKey,
        make: impl FnOnce(Arc<Watch>) -> Result<(Arc<Run>, Pending)>,
    ) -> Result<(Arc<Run>, Option<Pending>)> {
        if let Some(entry) = runs.get_mut(key) {
            if let Some(run) = &entry.run {
                return Ok((run.clone(), None));
            }
            let (run, pending) = make(entry.watch.clone())?;
            entry.watch.begin();
            entry.run = Some(run.clone());
            return Ok((run, Some(pending)));
        }
        let watch = Arc::<Watch>::default();
        let (run, pending) = make(watch.clone())?;
        watch.begin();
        runs.insert(key.clone(), Entry { run: Some(run.clone()), watch });
        Ok((run, Some(pending)))
    }

    /// Puts a run into memory as it was when it was created or read, unless it was there since: whoever else wanted it may
    /// have brought it to its end. `watch` is what the caller has kept since before then, and `seen` how often the run had
    /// come into memory. `None` if it was there since and is no longer.
    pub(super) fn admit_since(
        &self,
        key: &RunKey,
        watch: &Watch,
        seen: u32,
        make: impl FnOnce(Arc<Watch>) -> Result<(Arc<Run>, Pending)>,
    ) -> Result<Option<(Arc<Run>, Option<Pending>)>> {
        let mut runs = self.runs();
        if watch.times_begun() != seen && runs.get(key).is_none_or(|entry| entry.run.is_none()) {
            return Ok(None);
        }
        Self::admit_to(&mut runs, key, make).map(Some)
    }

    /// The right to bring a run into memory; others who want the same run wait.
    pub(super) async fn loading(&self, key: &RunKey) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let [.., last] = key.run.as_bytes();
        match self.loading.get(usize::from(*last) % LOADERS) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        }
    }

    /// A run that is in memory.
    pub(super) fn find(&self, key: &RunKey) -> Option<Arc<Run>> {
        self.runs().get(key).and_then(|entry| entry.run.clone())
    }

    /// What to wait for to learn of a run's end.
    pub(super) fn watch(&self, key: &RunKey) -> Arc<Watch> {
        let mut runs = self.runs();
        let entry = runs.entry(key.clone()).or_insert_with(|| Entry { run: None, watch: Arc::new(Watch::default()) });
        entry.watch.clone()
    }

    /// A run that waits leaves memory for a while; those who wait for it go on waiting.
    pub(super) fn park(&self, run: &Arc<Run>) {
        self.unload(run, Run::leave);
    }

    /// A run leaves memory before it does what its last turn asks for, to be loaded at once: the store must have all that
    /// is needed to go on. Whether it did.
    pub(super) fn suspend(&self, run: &Arc<Run>, actions: &[Action]) -> bool {
        let left = self.unload(run, |run| run.leave_before(actions));
        if left {
            self.services.alarms.set(Timestamp::EPOCH, run.key.clone());
        }
        left
    }

    fn unload(&self, run: &Arc<Run>, leave: impl FnOnce(&Run) -> bool) -> bool {
        let mut runs = self.runs();
        let Some(entry) = runs.get_mut(&run.key).filter(|entry| entry.is_of(run)) else { return false };
        if !leave(run) {
            return false;
        }
        entry.run = None;
        // The run itself and this entry have one each; more means that somebody waits.
        if Arc::strong_count(&entry.watch) <= 2 {
            runs.remove(&run.key);
        }
        true
    }

    /// Nobody waits any more for a run that is not in memory.
    pub(super) fn unwatch(&self, key: &RunKey) {
        let mut runs = self.runs();
        if runs.get(key).is_some_and(|entry| entry.run.is_none() && Arc::strong_count(&entry.watch) <= 1) {
            runs.remove(key);
        }
    }

    /// A run has ended, or was lost to this engine. If it was loaded again meanwhile, that one goes on.
    pub(super) fn dismiss(&self, run: &Arc<Run>, end: std::result::Result<Outcome, Arc<Error>>) {
        let mut runs = self.runs();
        run.give_up();
        let entry = if runs.get(&run.key).is_some_and(|entry| entry.is_of(run)) { runs.remove(&run.key) } else { None };
        // Told before anybody can see that it is not in memory: an ephemeral engine has nowhere else to look.
        if let Some(entry) = &entry {
            entry.watch.end(end);
        }
        drop(runs);
    }

    /// A run cannot be brought into memory: those who wait for it are told why.
    pub(super) fn refuse(&self, key: &RunKey, error: Error) {
        let mut runs = self.runs();
        let entry = if runs.get(key).is_some_and(|entry| entry.run.is_none()) { runs.remove(key) } else { None };
        if let Some(entry) = &entry {
            entry.watch.end(Err(Arc::new(error)));
        }
        drop(runs);
    }

    /// Whether new runs and attempts may begin.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.is_raised()
    }

    /// Completes when the engine is told to stop.
    pub(super) async fn stopping(&self) {
        self.stopping.raised().await;
    }

    pub(super) fn check_open(&self, op: &'static str) -> Result<()> {
        let closed = Error::new(ErrorKind::Closed, op);
        match &self.services.keeper {
            Keeper::Durable { journal, .. } => match journal.halted() {
                Some(error) => Err(closed.caused_by(format!("the engine halted: {}", error.chain().join(": ")))),
                None if self.is_stopping() => Err(closed),
                None => Ok(()),
            },
            Keeper::Ephemeral { .. } if self.is_stopping() => Err(closed),
            Keeper::Ephemeral { .. } => Ok(()),
        }
    }

    /// Why a task of the engine ended before its time.
    pub(super) fn gone(&self, op: &'static str) -> Error {
        let halted = match &self.services.keeper {
            Keeper::Durable { journal, .. } => journal.halted(),
            Keeper::Ephemeral { .. } => None,
        };
        match halted {
            Some(error) => {
                Error::new(error.kind(), op).caused_by(format!("the engine halted: {}", error.chain().join(": ")))
            }
            None => Error::new(ErrorKind::Closed, op),
        }
    }

    /// The engine cannot go on: nothing more is written, everything stops, and everybody who waits, now or later, is told
    /// why.
    pub(super) fn halt(&self, error: &Arc<Error>) {
        tracing::error!(error = ?error, "the engine halts");
        if let Keeper::Durable { journal, .. } = &self.services.keeper {
            journal.halt(error.clone());
        }
        self.end_all(error);
    }

    /// Whether everything was dropped.
    pub(super) fn is_killed(&self) -> bool {
        self.tasks.is_killed()
    }

    /// Everything stops at once.
    pub(super) fn kill(&self) {
        if !self.tasks.is_killed() {
            self.end_all(&Arc::new(Error::new(ErrorKind::Closed, "run workflow")));
        }
    }

    /// Everything stops at once, and the store is given back as soon as all tasks have ended.
    pub(super) fn abandon(self: &Arc<Self>) {
        self.kill();
        if self.given_back.swap(true, Ordering::SeqCst) {
            return;
        }
        let core = self.clone();
        self.tasks.spawn_beside(Box::pin(async move {
            if let Err(error) = core.give_back().await {
                tracing::warn!(error = ?error, "the store could not be given back");
            }
        }));
    }

    fn end_all(&self, error: &Arc<Error>) {
        // In this order: nothing that comes of being stopped is recorded.
        if let Keeper::Durable { journal, .. } = &self.services.keeper {
            journal.close();
        }
        self.tasks.kill();
        self.stopping.raise();
        self.recovered.raise();
        for entry in in_order(std::mem::take(&mut *self.runs())) {
            // What was written is told, even where the task that would have told it is gone.
            let end = entry.run.and_then(|run| run.recorded_end());
            entry.watch.end(end.ok_or_else(|| error.clone()));
        }
        if let Keeper::Durable { journal, .. } = &self.services.keeper {
            journal.abandon(error);
        }
    }

    pub(super) async fn shutdown(&self) -> Result<()> {
        self.stopping.raise();
        // The journal's own task ends when the journal is closed; until then it must serve those that drain.
        let drained = async {
            for run in self.in_memory() {
                run.idle().await;
            }
        };
        // What halts has nothing to drain.
        let halted = async {
            match &self.services.keeper {
                Keeper::Durable { journal, .. } => journal.ended().await,
                Keeper::Ephemeral { .. } => std::future::pending().await,
            }
        };
        let done = async {
            tokio::select! {
                biased;
                () = drained => {}
                () = halted => {}
            }
        };
        let (clock, grace) = (&*self.services.clock, self.services.limits.grace);
        let _ = within(clock, grace, done).await;
        if let Keeper::Durable { journal, .. } = &self.services.keeper {
            journal.close();
            let _ = within(clock, grace, journal.ended()).await;
        }
        self.kill();
        self.given_back.store(true, Ordering::SeqCst);
        let given_back = self.give_back().await;
        match &self.services.keeper {
            Keeper::Durable { journal, .. } if journal.halted().is_some() => Err(self.gone("shut down")),
            _ => given_back,
        }
    }

    /// Waits for the tasks, which were told to end, and lets go of the store.
    async fn give_back(&self) -> Result<()> {
        if within(&*self.services.clock, STUBBORN, self.tasks.ended()).await.is_none() {
            tracing::warn!(tasks = self.tasks.len(), "steps that block their thread outlive the engine");
        }
        match &self.services.keeper {
            Keeper::Durable { store, lease, close_store, .. } => {
                let released = store.release(lease).await;
                if *close_store { store.close().await.and(released) } else { released }
            }
            Keeper::Ephemeral { .. } => Ok(()),
        }
    }

    fn in_memory(&self) -> Vec<Arc<Run>> {
        let entries = self.runs().iter().filter_map(|(key, entry)| Some((key.clone(), entry.run.clone()?))).collect();
        in_order(entries).collect()
    }
}

/// What is told of all runs is told in their order, so that a simulation goes the same way each time.
fn in_order<T>(runs: HashMap<RunKey, T>) -> impl Iterator<Item = T> {
    let mut runs: Vec<_> = runs.into_iter().collect();
    runs.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    runs.into_iter().map(|(_, run)| run)
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = match &self.services.keeper {
            Keeper::Durable { store, .. } => store.name(),
            Keeper::Ephemeral { .. } => "ephemeral".to_owned(),
        };
        write!(f, "Engine({store}, {} workflows)", self.definitions.len())
    }
}
