//! What an engine is made of, and opening one.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use fastn_connectors::Registry;
use fastn_core::plan::NodeKind;
use fastn_core::{Definition, Error, ErrorKind, ExecutorId, Failure, Result, Workflow};
use fastn_store::{LeaseAsk, Store};
use foldhash::{HashMap, HashMapExt};

use super::alarms::Alarms;
use super::core::{Core, Served};
use super::owner::Engine;
use super::services::{Keeper, Limits, Services};
use super::start::key_of;
use super::{recovery, timers};
use crate::chance::Chance;
use crate::clock::{Clock, SystemClock, pause};
use crate::journal::Journal;
use crate::panics::caught;
use crate::tasks::{Spawner, TokioSpawner};

/// How long a lease lasts unless it is renewed.
const LEASE: Duration = Duration::from_secs(30);

/// Where an engine's store comes from: the URL of one to open, or one that is open.
#[derive(Debug)]
pub enum StoreSource {
    /// To be opened, and closed at shutdown: `memory:`, `sqlite:PATH`.
    Url(String),
    /// Open already; it stays open after shutdown.
    Open(Arc<dyn Store>),
}

impl From<&str> for StoreSource {
    fn from(url: &str) -> Self {
        Self::Url(url.to_owned())
    }
}

impl From<String> for StoreSource {
    fn from(url: String) -> Self {
        Self::Url(url)
    }
}

impl From<Arc<dyn Store>> for StoreSource {
    fn from(store: Arc<dyn Store>) -> Self {
        Self::Open(store)
    }
}

/// Says what an engine is to be made of.
#[derive(Debug)]
#[must_use = "an engine is made by `open`"]
pub struct EngineBuilder {
    store: Option<StoreSource>,
    definitions: Vec<Definition>,
    registry: Registry,
    executor: Option<ExecutorId>,
    clock: Arc<dyn Clock>,
    spawner: Option<Arc<dyn Spawner>>,
    seed: Option<u64>,
    patience: Duration,
    limits: Limits,
}

impl Default for EngineBuilder {
    fn default() -> Self {
        Self {
            store: None,
            definitions: Vec::new(),
            registry: Registry::default(),
            executor: None,
            clock: Arc::new(SystemClock),
            spawner: None,
            seed: None,
            patience: Duration::from_secs(20),
            limits: Limits {
                payload: 4 << 20,
                grace: Duration::from_secs(5),
                park_after: Duration::from_secs(5),
                suspends: false,
            },
        }
    }
}

impl EngineBuilder {
    /// Where runs are kept: a URL such as `sqlite:shop.db`, or an open store. Without one the engine is **ephemeral**:
    /// runs live in memory only, nothing is recorded, and a run ends with its process.
    pub fn store(mut self, store: impl Into<StoreSource>) -> Self {
        self.store = Some(store.into());
        self
    }

    /// Runs of this workflow can be started, and unfinished ones go on.
    pub fn serve<I, O>(mut self, workflow: &Workflow<I, O>) -> Self {
        self.definitions.push(workflow.definition().clone());
        self
    }

    /// The connectors whose actions the workflows call.
    pub fn connectors(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// The name by which people know this executor; by default that of its program.
    pub fn executor(mut self, name: ExecutorId) -> Self {
        self.executor = Some(name);
        self
    }

    /// Where time comes from; by default the machine's clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where the engine's tasks run; by default on the tokio runtime on which it is opened.
    pub fn spawner(mut self, spawner: Arc<dyn Spawner>) -> Self {
        self.spawner = Some(spawner);
        self
    }

    /// Makes jitter and run ids the same each time. For tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The largest input of a run and output of a step, in bytes; by default 4 MiB.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.limits.payload = bytes;
        self
    }

    /// How long attempts may go on after [`Engine::shutdown`] was called, and a step that listens for its cancellation
    /// after it; by default 5 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.limits.grace = grace;
        self
    }

    /// How long a write is tried again while the store is unavailable, before the engine halts; by default 20 s.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// A run that waits longer than this leaves memory until its time has come; by default 5 s.
    pub fn park_after(mut self, wait: Duration) -> Self {
        self.limits.park_after = wait;
        self
    }

    /// Whether a run leaves memory after every turn, and goes on from what the store has of it; by default not. Slow, for
    /// tests: whatever a run needs must be recorded. A run stays while attempts are under way beside those that follow,
    /// and so does one that is about to make an attempt that is made at most once.
    pub fn always_suspend(mut self, always: bool) -> Self {
        self.limits.suspends = always;
        self
    }

    /// Opens the engine on the present tokio runtime. Unfinished runs of the workflows served go on from where they
    /// were; that happens beside, and does not hold this up.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if two workflows have one name and version;
    /// [`NotFound`](ErrorKind::NotFound) if a connector's action is missing;
    /// [`Locked`](ErrorKind::Locked) if another process runs this store's runs; or if the store cannot be opened.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the store open until its tasks notice; open again.
    pub async fn open(self) -> Result<Engine> {
        const OP: &str = "open engine";
        let spawner: Arc<dyn Spawner> = match self.spawner {
            Some(spawner) => spawner,
            None => {
                let runtime = tokio::runtime::Handle::try_current();
                Arc::new(TokioSpawner(runtime.map_err(|e| Error::new(ErrorKind::Invalid, OP).caused_by(e))?))
            }
        };
        let definitions = unique(self.definitions)?;
        check_actions(&definitions, &self.registry)?;

        let (store, close_store) = match self.store {
            None => (None, false),
            Some(StoreSource::Url(url)) => (Some(fastn_store::open(&url).await?), true),
            Some(StoreSource::Open(store)) => (Some(store), false),
        };
        let keeper = match store {
            None => Keeper::Ephemeral { next: AtomicU64::new(1) },
            Some(store) => {
                let executor = match self.executor {
                    Some(name) => name,
                    None => program_name()?,
                };
                let lease = match store.acquire(LeaseAsk { executor, now: self.clock.now(), ttl: LEASE }).await {
                    Ok(lease) => lease,
                    Err(error) => {
                        if close_store {
                            // The error that matters is why the lease could not be had.
                            let _ = store.close().await;
                        }
                        return Err(error);
                    }
                };
                let journal = Journal::new(store.clone(), lease.clone(), self.clock.clone(), self.patience);
                Keeper::Durable { store, lease, journal: Arc::new(journal), close_store }
            }
        };
        let chance = self.seed.map_or_else(Chance::from_system, Chance::seeded);
        let (clock, limits) = (self.clock, self.limits);
        let services = Services { keeper, clock, chance, alarms: Alarms::default(), limits };
        let core = Arc::new(Core::new(services, self.registry, definitions, spawner));
        vital(&core, timers::run(core.clone()));
        if let Keeper::Durable { journal, .. } = &core.services.keeper {
            let (owner, journal) = (core.clone(), journal.clone());
            core.spawn(Box::pin(async move {
                let ended = caught(journal.run())
                    .await
                    .unwrap_or_else(|panic| Err(journal.halt(Arc::new(died("commit", panic)))));
                if let Err(error) = ended {
                    owner.halt(&error);
                }
            }));
            vital(&core, renew(core.clone()));
            vital(&core, recovery::run(core.clone()));
            #[cfg(feature = "schedules")]
            vital(&core, super::schedules::watchman::run(core.clone()));
        }
        Ok(Engine::new(core))
    }
}

impl Engine {
    /// Says what an engine is to be made of.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }
}

/// Starts a task without which the engine is none: if it panics, the engine halts.
fn vital(core: &Arc<Core>, task: impl Future<Output = ()> + Send + 'static) {
    let owner = core.clone();
    core.spawn(Box::pin(async move {
        if let Err(panic) = caught(task).await {
            owner.halt(&Arc::new(died("run workflows", panic)));
        }
    }));
}

fn died(op: &'static str, panic: Failure) -> Error {
    Error::new(ErrorKind::Internal, op).caused_by(panic)
}

/// Keeps the lease as long as the engine lives.
async fn renew(core: Arc<Core>) {
    let Keeper::Durable { store, lease, .. } = &core.services.keeper else { return };
    let mut wait = LEASE / 3;
    loop {
        pause(&*core.services.clock, wait).await;
        wait = LEASE / 3;
        match store.renew(lease, core.services.clock.now().plus(LEASE)).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => {
                tracing::warn!(error = ?error, "the lease could not be renewed; trying again");
                wait = Duration::from_secs(1);
            }
            Err(error) => return core.halt(&Arc::new(error)),
        }
    }
}

/// How people know this process: the name of its program.
fn program_name() -> Result<ExecutorId> {
    let program = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&program).file_stem().unwrap_or_default().to_string_lossy();
    ExecutorId::new(&*name)
        .or_else(|_| ExecutorId::new("fastn"))
        .map_err(|e| Error::new(ErrorKind::Internal, "name executor").caused_by(e))
}

fn unique(definitions: Vec<Definition>) -> Result<HashMap<fastn_store::DefinitionKey, Served>> {
    let mut served = HashMap::with_capacity(definitions.len());
    for definition in definitions {
        let key = key_of(&definition);
        let taken = |other: &fastn_store::DefinitionKey| other.workflow == key.workflow && other.version == key.version;
        if served.keys().any(taken) {
            return Err(Error::new(ErrorKind::AlreadyExists, "serve workflow")
                .with("workflow", &key.workflow)
                .with("version", key.version));
        }
        let plan = definition.plan().to_editor_json().ok().map(Arc::from);
        served.insert(key, Served { definition, plan });
    }
    Ok(served)
}

/// Every action of every plan must have a connector.
fn check_actions(definitions: &HashMap<fastn_store::DefinitionKey, Served>, registry: &Registry) -> Result<()> {
    let nodes = definitions.values().flat_map(|served| served.definition.plan().nodes());
    registry.check(nodes.filter_map(|node| match &node.kind {
        NodeKind::Call(action) => Some(action),
        _ => None,
    }))
}
