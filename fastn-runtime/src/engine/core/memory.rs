//! Runs in memory, and who waits for those that are not.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};

use fastn_core::{Error, Outcome, Result, RunId, Timestamp};
use fastn_store::RunKey;
use foldhash::HashMap;

use super::core::{Admitted, Core, Entry, LOADERS};
use crate::engine::pending::Pending;
use crate::engine::run::Run;
use crate::engine::tenure::Tenure;
use crate::engine::watch::Watch;
use crate::machine::Action;

impl Core {
    pub(super) fn awaits(&self) -> MutexGuard<'_, BTreeSet<RunKey>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a run into memory, watched by those who waited for it already, and gives what is to be done first; nothing of
    /// that if it is there already. `None` if the tenure is over. Nobody sees the run before its first turn was taken.
    pub(in crate::engine) fn admit(
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
    pub(in crate::engine) fn admit_since(
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
    pub(in crate::engine) async fn loading(&self, key: &RunKey) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let [.., last] = key.run.as_bytes();
        match self.loading.get(usize::from(*last) % LOADERS) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        }
    }

    /// A run that is in memory.
    pub(in crate::engine) fn find(&self, key: &RunKey) -> Option<Arc<Run>> {
        self.runs().get(key).and_then(|entry| entry.run.clone())
    }

    /// What to wait for to learn of a run's end.
    pub(in crate::engine) fn watch(&self, key: &RunKey) -> Arc<Watch> {
        let mut runs = self.runs();
        let entry = runs.entry(key.clone()).or_insert_with(|| Entry { run: None, watch: Arc::new(Watch::default()) });
        entry.watch.clone()
    }

    /// A run that waits leaves memory for a while; those who wait for it go on waiting.
    pub(in crate::engine) fn park(&self, run: &Arc<Run>) {
        self.unload(run, Run::leave);
    }

    /// A run leaves memory before it does what its last turn asks for, to be loaded at once: the store must have all that
    /// is needed to go on. Whether it did.
    pub(in crate::engine) fn suspend(&self, run: &Arc<Run>, actions: &[Action]) -> bool {
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
    pub(in crate::engine) fn unwatch(&self, key: &RunKey) {
        let mut runs = self.runs();
        if runs.get(key).is_some_and(|entry| entry.run.is_none() && Arc::strong_count(&entry.watch) <= 1) {
            runs.remove(key);
            self.awaits().remove(key);
        }
    }

    /// A run has ended, or was lost to this engine. If it was loaded again meanwhile, that one goes on.
    pub(in crate::engine) fn dismiss(&self, run: &Arc<Run>, end: std::result::Result<Outcome, Arc<Error>>) {
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
    pub(in crate::engine) fn refuse(&self, key: &RunKey, error: Error) {
        self.tell_end(key, Err(Arc::new(error)));
    }

    /// Tells those who wait for a run that is not in memory.
    pub(in crate::engine) fn tell_end(&self, key: &RunKey, end: std::result::Result<Outcome, Arc<Error>>) {
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
    pub(in crate::engine) fn await_elsewhere(&self, key: &RunKey, watch: &Arc<Watch>) {
        let mut runs = self.runs();
        runs.entry(key.clone()).or_insert_with(|| Entry { run: None, watch: watch.clone() });
        let new = self.awaits().insert(key.clone());
        drop(runs);
        if new {
            self.bells.awaited.notify_one();
        }
    }

    /// A run waits for the end of another from now on.
    pub(in crate::engine) fn await_child(&self, child: &RunKey, parent: RunId) {
        let watch = self.watch(child);
        self.families.add(child, &watch, parent);
        drop(watch);
        self.unwatch(child);
    }

    /// Whether anybody waits for runs that others have.
    pub(in crate::engine) fn awaits_others(&self) -> bool {
        !self.awaits().is_empty()
    }

    /// The runs whose ends are to be looked for.
    pub(in crate::engine) fn awaited(&self) -> Vec<RunKey> {
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
    pub(in crate::engine) fn lose(&self, tenure: &Tenure, error: &Arc<Error>) {
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

    pub(super) fn in_memory(&self) -> Vec<Arc<Run>> {
        let entries = self.runs().iter().filter_map(|(key, entry)| Some((key.clone(), entry.run.clone()?))).collect();
        in_order(entries).collect()
    }
}

/// What is told of all runs is told in their order, so that a simulation goes the same way each time.
pub(super) fn in_order<T>(runs: HashMap<RunKey, T>) -> impl Iterator<Item = T> {
    with_keys(runs).map(|(_, run)| run)
}

fn with_keys<T>(runs: HashMap<RunKey, T>) -> impl Iterator<Item = (RunKey, T)> {
    let mut runs: Vec<_> = runs.into_iter().collect();
    runs.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    runs.into_iter()
}
