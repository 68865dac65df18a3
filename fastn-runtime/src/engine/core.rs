//! What all rooms of the engine share.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use fastn_connectors::Registry;
use fastn_core::{BoxFuture, Definition, Error, ErrorKind, Outcome, Result, RunId, Tag, Timestamp};
use fastn_store::{DefinitionKey, RunKey};
use foldhash::HashMap;

use super::bells::Bells;
use super::families::Families;
use super::pending::Pending;
use super::queues::known::Known;
use super::queues::seats::Seats;
use super::run::Run;
#[cfg(feature = "schedules")]
use super::schedules::desk::Desk;
use super::services::{Keeper, Services};
use super::tenure::Tenure;
use super::watch::Watch;
use crate::clock::within;
use crate::flag::Flag;
use crate::machine::Action;
use crate::tasks::{Spawner, Tasks};

/// How many runs are brought into memory at a time, at most.
const LOADERS: usize = 64;

/// How long tasks that do not yield are waited for after everything was dropped.
const STUBBORN: Duration = Duration::from_secs(2);

pub(super) struct Core {
    pub(super) services: Services,
    pub(super) registry: Registry,
    pub(super) definitions: HashMap<DefinitionKey, Served>,
    runs: Mutex<HashMap<RunKey, Entry>>,
    /// The runs that somebody waits for here and others have, in their order. Locked after `runs`.
    awaited: Mutex<BTreeSet<RunKey>>,
    pub(super) bells: Arc<Bells>,
    /// Held while a run is read and brought into memory, so that nobody goes on from a history that is out of date.
    loading: [tokio::sync::Mutex<()>; LOADERS],
    /// Held for writing from a claim until the claimed runs are in memory, and for reading while one run is loaded: a
    /// run that was claimed could otherwise be loaded, end, and then be taken over as it was when it was claimed.
    pub(super) claiming: tokio::sync::RwLock<()>,
    /// Runs that wait for other runs.
    pub(super) families: Families,
    /// The rules of queues.
    pub(super) queues: Known,
    /// The runs of queues that are here.
    pub(super) seats: Seats,
    #[cfg(feature = "schedules")]
    pub(super) schedules: Desk,
    /// Where tasks run.
    pub(super) spawner: Arc<dyn Spawner>,
    /// Owns every task of the engine that does not work on runs; those that do belong to a tenure.
    tasks: Arc<Tasks>,
    /// Those that come to their end by themselves, whatever becomes of the engine.
    beside: Arc<Tasks>,
    /// Why the engine cannot go on.
    halted: OnceLock<Arc<Error>>,
    /// No new runs and attempts.
    stopping: Flag,
    /// Somebody gives the store back, or has.
    given_back: AtomicBool,
}

/// A definition whose runs this engine can start.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) definition: Definition,
    /// Its plan for those who read runs without this program; none if it holds constants that are not JSON.
    pub(super) plan: Option<Arc<str>>,
    /// The tags that its runs need and this executor has not: if there are any, others run them.
    pub(super) lacks: Arc<[Tag]>,
}

/// A run in memory, and what is to be done first if it came there just now.
pub(super) type Admitted = (Arc<Run>, Option<Pending>);

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
            awaited: Mutex::default(),
            bells: Arc::default(),
            loading: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            claiming: tokio::sync::RwLock::default(),
            families: Families::default(),
            queues: Known::default(),
            seats: Seats::default(),
            #[cfg(feature = "schedules")]
            schedules: Desk::default(),
            tasks: Arc::new(Tasks::new(spawner.clone())),
            beside: Arc::new(Tasks::new(spawner.clone())),
            spawner,
            halted: OnceLock::new(),
            stopping: Flag::default(),
            given_back: AtomicBool::new(false),
        }
    }

    /// The definitions whose runs go on here.
    pub(super) fn runnable(&self) -> Vec<DefinitionKey> {
        let here = self.definitions.iter().filter(|(_, served)| served.lacks.is_empty());
        here.map(|(key, _)| key.clone()).collect()
    }

    /// Starts a task that ends with the engine at the latest.
    pub(super) fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.tasks.spawn(task);
    }

    /// Starts a task that nothing stops. The store is not given back before its end.
    pub(super) fn spawn_beside(&self, task: BoxFuture<'static, ()>) {
        self.beside.spawn(task);
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunKey, Entry>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn awaits(&self) -> MutexGuard<'_, BTreeSet<RunKey>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a run into memory, watched by those who waited for it already, and gives what is to be done first; nothing of
    /// that if it is there already. `None` if the tenure is over. Nobody sees the run before its first turn was taken.
    pub(super) fn admit(
        &self,
        tenure: &Tenure,
        key: &RunKey,
        make: impl FnOnce(Arc<Watch>) -> Result<(Arc<Run>, Pending)>,
    ) -> Result<Option<Admitted>> {
        let mut runs = self.runs();
        // Looked at under the lock: what is admitted before the end of a tenure is taken out with it.
        if tenure.is_over() {
            return Ok(None);
        }
        Self::admit_to(&mut runs, key, make).map(Some)
    }

    fn admit_to(
        runs: &mut HashMap<RunKey, Entry>,
        key: &RunKey,
        make: impl FnOnce(Arc<Watch>) -> Result<(Arc<Run>, Pending)>,
    ) -> Result<Admitted> {
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
    /// come into memory. `None` if it was there since and is no longer, or the tenure is over.
    pub(super) fn admit_since(
        &self,
        tenure: &Tenure,
        key: &RunKey,
        watch: &Watch,
        seen: u32,
        make: impl FnOnce(Arc<Watch>) -> Result<(Arc<Run>, Pending)>,
    ) -> Result<Option<Admitted>> {
        let mut runs = self.runs();
        let gone = || watch.times_begun() != seen && runs.get(key).is_none_or(|entry| entry.run.is_none());
        if tenure.is_over() || gone() {
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
            self.awaits().remove(key);
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
            self.awaits().remove(&run.key);
            self.families.ended(&run.key);
        }
        drop(runs);
        if self.seats.leave(run.no) {
            self.bells.own_queues.notify_one();
        }
    }

    /// A run cannot be brought into memory: those who wait for it are told why.
    pub(super) fn refuse(&self, key: &RunKey, error: Error) {
        self.tell_end(key, Err(Arc::new(error)));
    }

    /// Tells those who wait for a run that is not in memory.
    pub(super) fn tell_end(&self, key: &RunKey, end: std::result::Result<Outcome, Arc<Error>>) {
        let mut runs = self.runs();
        let entry = if runs.get(key).is_some_and(|entry| entry.run.is_none()) { runs.remove(key) } else { None };
        if let Some(entry) = &entry {
            entry.watch.end(end);
            self.awaits().remove(key);
            self.families.ended(key);
        }
        drop(runs);
    }

    /// Somebody waits for a run that another has: its end is to be looked for, and told to this watch.
    pub(super) fn await_elsewhere(&self, key: &RunKey, watch: &Arc<Watch>) {
        let mut runs = self.runs();
        runs.entry(key.clone()).or_insert_with(|| Entry { run: None, watch: watch.clone() });
        let new = self.awaits().insert(key.clone());
        drop(runs);
        if new {
            self.bells.awaited.notify_one();
        }
    }

    /// A run waits for the end of another from now on.
    pub(super) fn await_child(&self, child: &RunKey, parent: RunId) {
        let watch = self.watch(child);
        self.families.add(child, &watch, parent);
        drop(watch);
        self.unwatch(child);
    }

    /// Whether anybody waits for runs that others have.
    pub(super) fn awaits_others(&self) -> bool {
        !self.awaits().is_empty()
    }

    /// The runs whose ends are to be looked for.
    pub(super) fn awaited(&self) -> Vec<RunKey> {
        let mut runs = self.runs();
        let mut awaited = self.awaits();
        awaited.retain(|key| {
            let watched = |entry: &Entry| entry.run.is_some() || Arc::strong_count(&entry.watch) > 1;
            let stays = runs.get(key).is_some_and(watched);
            if !stays {
                runs.remove(key);
            }
            stays
        });
        // One that is about to be created need not be there yet.
        let elsewhere = |entry: &Entry| entry.run.is_none() && !entry.watch.is_creating();
        awaited.iter().filter(|key| runs.get(key).is_some_and(elsewhere)).cloned().collect()
    }

    /// The lease was lost: all runs leave memory at once, since others have them or will. Whoever waits for them goes on
    /// waiting, and nothing more is written.
    pub(super) fn lose(&self, tenure: &Tenure, error: &Arc<Error>) {
        if !tenure.end() {
            return;
        }
        tracing::warn!(error = ?error, "the lease was lost; its runs go on wherever they are claimed");
        if let Some(journal) = tenure.journal() {
            journal.halt(error.clone());
        }
        tenure.tasks.kill();
        let mut runs = self.runs();
        // Whoever has the runs now looks for the ends of their children.
        self.families.clear();
        let mut awaited = self.awaits();
        for (key, mut entry) in with_keys(std::mem::take(&mut *runs)) {
            let run = entry.run.take();
            if let Some(end) = run.as_ref().and_then(|run| run.recorded_end()) {
                // What was written is told, even where the task that would have told it is gone.
                entry.watch.end(Ok(end));
                continue;
            }
            if let Some(run) = run {
                run.give_up();
            }
            if Arc::strong_count(&entry.watch) > 1 {
                awaited.insert(key.clone());
                runs.insert(key, entry);
            }
        }
        drop(awaited);
        self.seats.clear();
        self.services.alarms.clear();
        drop(runs);
        self.bells.awaited.notify_one();
        tenure.leave();
    }

    /// A tenure begins. `None` if the engine has ended meanwhile.
    pub(super) fn begin(&self, tenure: &Arc<Tenure>) -> Option<()> {
        let durable = self.services.durable()?;
        durable.set_tenure(Some(tenure.clone()));
        // In this order: whoever ends the engine sees the tenure, or is seen here.
        if self.is_stopping() || self.is_killed() {
            durable.set_tenure(None);
            tenure.tasks.kill();
            return None;
        }
        Some(())
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
        match self.halted.get() {
            Some(error) => Err(closed.caused_by(format!("the engine halted: {}", error.chain().join(": ")))),
            None if self.is_stopping() => Err(closed),
            None => Ok(()),
        }
    }

    /// Why a task of the engine ended before its time.
    pub(super) fn gone(&self, op: &'static str) -> Error {
        match self.halted.get() {
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
        let _ = self.halted.set(error.clone());
        if let Some(tenure) = self.last_tenure()
            && let Some(journal) = tenure.journal()
        {
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
        self.tasks.kill();
        let tenure = self.last_tenure();
        let journal = tenure.as_ref().and_then(|tenure| tenure.journal());
        if let Some(journal) = journal {
            journal.close();
        }
        if let Some(tenure) = &tenure {
            tenure.tasks.kill();
            tenure.recovered.raise();
            tenure.leave();
        }
        self.stopping.raise();
        for entry in in_order(std::mem::take(&mut *self.runs())) {
            // What was written is told, even where the task that would have told it is gone.
            let end = entry.run.and_then(|run| run.recorded_end());
            entry.watch.end(end.ok_or_else(|| error.clone()));
        }
        self.awaits().clear();
        if let Some(journal) = journal {
            journal.abandon(error);
        }
    }

    /// The present tenure, or that which was lost last.
    fn last_tenure(&self) -> Option<Arc<Tenure>> {
        match &self.services.keeper {
            Keeper::Durable(durable) => durable.tenure(),
            Keeper::Ephemeral { tenure, .. } => Some(tenure.clone()),
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
        let tenure = self.services.tenure();
        let journal = tenure.as_ref().and_then(|tenure| tenure.journal());
        // What halts has nothing to drain.
        let halted = async {
            match journal {
                Some(journal) => journal.ended().await,
                None => std::future::pending().await,
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
        if let Some(journal) = journal {
            journal.close();
            let _ = within(clock, grace, journal.ended()).await;
        }
        self.kill();
        self.given_back.store(true, Ordering::SeqCst);
        let given_back = self.give_back().await;
        if self.halted.get().is_some() { Err(self.gone("shut down")) } else { given_back }
    }

    /// Waits for the tasks, which were told to end, and lets go of the store.
    async fn give_back(&self) -> Result<()> {
        let tenure = self.last_tenure();
        if let Some(tenure) = &tenure {
            self.cleared(tenure).await;
        }
        if within(&*self.services.clock, STUBBORN, self.tasks.ended()).await.is_none() {
            tracing::warn!(tasks = self.tasks.len(), "tasks that block their thread outlive the engine");
        }
        self.beside.ended().await;
        let Some(durable) = self.services.durable() else { return Ok(()) };
        // One that was lost has ended, or ends by itself.
        let tenure = tenure.as_ref().filter(|tenure| !tenure.is_over());
        let released = match tenure.and_then(|tenure| tenure.lease()) {
            Some(lease) => durable.store.release(lease).await,
            None => Ok(()),
        };
        // Closing what is looked through closes what is behind it.
        if durable.close_store { durable.look.close().await.and(released) } else { released }
    }

    /// Waits for the tasks of a tenure, which were told to end.
    pub(super) async fn cleared(&self, tenure: &Tenure) {
        if within(&*self.services.clock, STUBBORN, tenure.tasks.ended()).await.is_none() {
            tracing::warn!(tasks = tenure.tasks.len(), "steps that block their thread outlive the lease");
        }
    }

    fn in_memory(&self) -> Vec<Arc<Run>> {
        let entries = self.runs().iter().filter_map(|(key, entry)| Some((key.clone(), entry.run.clone()?))).collect();
        in_order(entries).collect()
    }
}

/// What is told of all runs is told in their order, so that a simulation goes the same way each time.
fn in_order<T>(runs: HashMap<RunKey, T>) -> impl Iterator<Item = T> {
    with_keys(runs).map(|(_, run)| run)
}

fn with_keys<T>(runs: HashMap<RunKey, T>) -> impl Iterator<Item = (RunKey, T)> {
    let mut runs: Vec<_> = runs.into_iter().collect();
    runs.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    runs.into_iter()
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = match &self.services.keeper {
            Keeper::Durable(durable) => durable.store.name(),
            Keeper::Ephemeral { .. } => "ephemeral".to_owned(),
        };
        write!(f, "Engine({store}, {} workflows)", self.definitions.len())
    }
}
