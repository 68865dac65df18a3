//! What an engine is made of, and whether it goes on.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use fastn_connectors::Registry;
use fastn_core::{BoxFuture, Definition, Error, ErrorKind, Result, Tag};
use fastn_store::{DefinitionKey, RunKey};
use foldhash::HashMap;

use crate::engine::bells::Bells;
use crate::engine::families::Families;
use crate::engine::pending::Pending;
use crate::engine::queues::intake::Intake;
use crate::engine::queues::known::Known;
use crate::engine::queues::seats::Seats;
use crate::engine::run::Run;
#[cfg(feature = "schedules")]
use crate::engine::schedules::desk::Desk;
use crate::engine::services::{Keeper, Services};
use crate::engine::tenure::Tenure;
use crate::engine::watch::Watch;
use crate::flag::Flag;
use crate::tasks::{Spawner, Tasks};

/// How many runs are brought into memory at a time, at most.
pub(super) const LOADERS: usize = 64;

pub(in crate::engine) struct Core {
    pub(in crate::engine) services: Services,
    pub(in crate::engine) registry: Registry,
    pub(in crate::engine) definitions: HashMap<DefinitionKey, Served>,
    pub(super) runs: Mutex<HashMap<RunKey, Entry>>,
    /// The runs that somebody waits for here and others have, in their order. Locked after `runs`.
    pub(super) awaited: Mutex<BTreeSet<RunKey>>,
    pub(in crate::engine) bells: Arc<Bells>,
    /// Held while a run is read and brought into memory, so that nobody goes on from a history that is out of date.
    pub(super) loading: [tokio::sync::Mutex<()>; LOADERS],
    /// Held for writing from a claim until the claimed runs are in memory, and for reading while one run is loaded: a
    /// run that was claimed could otherwise be loaded, end, and then be taken over as it was when it was claimed.
    pub(in crate::engine) claiming: tokio::sync::RwLock<()>,
    /// Runs that wait for other runs.
    pub(in crate::engine) families: Families,
    /// The rules of queues.
    pub(in crate::engine) queues: Known,
    /// New runs of queues on their way to the store.
    pub(in crate::engine) intake: Intake,
    /// The runs of queues that are here.
    pub(in crate::engine) seats: Seats,
    #[cfg(feature = "schedules")]
    pub(in crate::engine) schedules: Desk,
    /// Where tasks run.
    pub(in crate::engine) spawner: Arc<dyn Spawner>,
    /// Owns every task of the engine that does not work on runs; those that do belong to a tenure.
    pub(super) tasks: Arc<Tasks>,
    /// Those that come to their end by themselves, whatever becomes of the engine.
    pub(super) beside: Arc<Tasks>,
    /// Why the engine cannot go on.
    pub(super) halted: OnceLock<Arc<Error>>,
    /// No new runs and attempts.
    pub(super) stopping: Flag,
    /// Somebody gives the store back, or has.
    pub(super) given_back: AtomicBool,
}

/// A definition whose runs this engine can start.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Served {
    pub(in crate::engine) definition: Definition,
    /// Its plan for those who read runs without this program; none if it holds constants that are not JSON.
    pub(in crate::engine) plan: Option<Arc<str>>,
    /// The tags that its runs need and this executor has not: if there are any, others run them.
    pub(in crate::engine) lacks: Arc<[Tag]>,
}

/// A run in memory, and what is to be done first if it came there just now.
pub(in crate::engine) type Admitted = (Arc<Run>, Option<Pending>);

/// A run that is in memory, or that somebody waits for.
pub(super) struct Entry {
    pub(super) run: Option<Arc<Run>>,
    pub(super) watch: Arc<Watch>,
}

impl Entry {
    pub(super) fn is_of(&self, run: &Arc<Run>) -> bool {
        self.run.as_ref().is_some_and(|held| Arc::ptr_eq(held, run))
    }
}

impl Core {
    pub(in crate::engine) fn new(
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
            intake: Intake::default(),
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
    pub(in crate::engine) fn runnable(&self) -> Vec<DefinitionKey> {
        let here = self.definitions.iter().filter(|(_, served)| served.lacks.is_empty());
        here.map(|(key, _)| key.clone()).collect()
    }

    /// Starts a task that ends with the engine at the latest.
    pub(in crate::engine) fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.tasks.spawn(task);
    }

    /// Starts a task that nothing stops. The store is not given back before its end.
    pub(in crate::engine) fn spawn_beside(&self, task: BoxFuture<'static, ()>) {
        self.beside.spawn(task);
    }

    pub(super) fn runs(&self) -> MutexGuard<'_, HashMap<RunKey, Entry>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tenure begins. `None` if the engine has ended meanwhile.
    pub(in crate::engine) fn begin(&self, tenure: &Arc<Tenure>) -> Option<()> {
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
    pub(in crate::engine) fn is_stopping(&self) -> bool {
        self.stopping.is_raised()
    }

    /// Completes when the engine is told to stop.
    pub(in crate::engine) async fn stopping(&self) {
        self.stopping.raised().await;
    }

    pub(in crate::engine) fn check_open(&self, op: &'static str) -> Result<()> {
        let closed = Error::new(ErrorKind::Closed, op);
        match self.halted.get() {
            Some(error) => Err(closed.caused_by(format!("the engine halted: {}", error.chain().join(": ")))),
            None if self.is_stopping() => Err(closed),
            None => Ok(()),
        }
    }

    /// Why a task of the engine ended before its time.
    pub(in crate::engine) fn gone(&self, op: &'static str) -> Error {
        match self.halted.get() {
            Some(error) => {
                Error::new(error.kind(), op).caused_by(format!("the engine halted: {}", error.chain().join(": ")))
            }
            None => Error::new(ErrorKind::Closed, op),
        }
    }
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
