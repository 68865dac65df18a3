//! Which runs wait for the ends of which, and what is to be done for them.
//!
//! Rooms that make attempts and take runs out of memory say here what they want; [`children`](super::children) does it. So a
//! run that waits for another costs an entry here, and no task.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastn_core::{Payload, Result, RunId};
use fastn_store::{DefinitionKey, RunKey};
use foldhash::HashMap;
use tokio::sync::{Notify, oneshot};

use super::watch::Watch;

/// Something to be done for a run that has children.
pub(super) enum Want {
    /// Start this run, and say when it is durable.
    Start(Birth),
    /// See to it that the end of this run becomes known here.
    Follow(RunKey),
    /// Tell these runs of its tenant that it has ended, as its watch says.
    Tell(RunKey, Arc<Watch>, Vec<RunId>),
    /// Cancel this run, for this reason.
    End(RunKey, String),
}

/// A run that is to be started by another.
pub(super) struct Birth {
    pub(super) key: RunKey,
    pub(super) definition: DefinitionKey,
    pub(super) input: Payload,
    pub(super) reply: oneshot::Sender<Result<()>>,
}

/// Runs that others wait for.
#[derive(Default)]
pub(super) struct Families {
    state: Mutex<State>,
    /// How many there are: most engines have none, and need not take the lock when a run ends.
    awaited: AtomicUsize,
    wanted: Notify,
}

#[derive(Default)]
struct State {
    awaited: HashMap<RunKey, Family>,
    wants: VecDeque<Want>,
}

/// A run that others of its tenant wait for.
struct Family {
    /// Kept, so that its end is told here whatever it is in memory for.
    watch: Arc<Watch>,
    parents: BTreeSet<RunId>,
}

impl Families {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn want(&self, want: Want) {
        self.state().wants.push_back(want);
        self.wanted.notify_one();
    }

    /// What is to be done next.
    ///
    /// Cancel safe.
    pub(super) async fn next(&self) -> Want {
        loop {
            if let Some(want) = self.state().wants.pop_front() {
                return want;
            }
            self.wanted.notified().await;
        }
    }

    /// The end of a run is not to be missed from now on, although nobody waits for it yet.
    pub(super) fn hold(&self, child: &RunKey, watch: &Arc<Watch>) {
        let mut state = self.state();
        Self::family(&mut state, child, watch);
        self.count(&state);
    }

    /// What was held need not be, unless somebody waits for it.
    pub(super) fn release(&self, child: &RunKey) {
        let mut state = self.state();
        if state.awaited.get(child).is_some_and(|family| family.parents.is_empty()) {
            state.awaited.remove(child);
        }
        self.count(&state);
    }

    /// A run waits for another from now on.
    pub(super) fn add(&self, child: &RunKey, watch: &Arc<Watch>, parent: RunId) {
        let mut state = self.state();
        Self::family(&mut state, child, watch).parents.insert(parent);
        self.count(&state);
        drop(state);
        self.want(Want::Follow(child.clone()));
    }

    /// What tells of the end of a run that is awaited.
    pub(super) fn watch(&self, child: &RunKey) -> Option<Arc<Watch>> {
        self.state().awaited.get(child).map(|family| family.watch.clone())
    }

    /// The end of a run is known, and its watch says it. Those that wait for it are told; if nobody does yet, whoever begins to
    /// finds it.
    pub(super) fn ended(&self, child: &RunKey) {
        if self.awaited.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut state = self.state();
        if state.awaited.get(child).is_none_or(|family| family.parents.is_empty()) {
            return;
        }
        if let Some(Family { watch, parents }) = state.awaited.remove(child) {
            state.wants.push_back(Want::Tell(child.clone(), watch, parents.into_iter().collect()));
        }
        self.count(&state);
        drop(state);
        self.wanted.notify_one();
    }

    /// The runs that wait have left this engine.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        // What is to be started was asked for by those who left; they do so again.
        let gone = (std::mem::take(&mut state.awaited), std::mem::take(&mut state.wants));
        self.count(&state);
        drop(state);
        drop(gone);
    }

    fn family<'s>(state: &'s mut State, child: &RunKey, watch: &Arc<Watch>) -> &'s mut Family {
        state.awaited.entry(child.clone()).or_insert_with(|| Family { watch: watch.clone(), parents: BTreeSet::new() })
    }

    fn count(&self, state: &State) {
        self.awaited.store(state.awaited.len(), Ordering::Release);
    }
}
