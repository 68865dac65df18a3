//! What an engine is made of, and opening one.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastn_connectors::Registry;
use fastn_core::plan::NodeKind;
use fastn_core::{Definition, Error, ErrorKind, ExecutorId, Result, Tag, Workflow};
use fastn_store::{ReadThrough, Store};
use foldhash::{HashMap, HashMapExt};

use super::alarms::Alarms;
use super::core::{Core, Served};
use super::owner::Engine;
use super::queues::Queue;
use super::queues::shelf;
use super::services::{Durable, Keeper, Limits, Services};
use super::start::key_of;
use super::tenure::Tenure;
use super::{children, listen, lookout, reign, timers};
use crate::chance::Chance;
use crate::clock::{Clock, SystemClock};
use crate::tasks::{Spawner, TokioSpawner};

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
    read_through: Option<Box<dyn ReadThrough>>,
    definitions: Vec<Definition>,
    queues: Vec<Queue>,
    registry: Registry,
    executor: Option<ExecutorId>,
    tags: Vec<String>,
    clock: Arc<dyn Clock>,
    spawner: Option<Arc<dyn Spawner>>,
    seed: Option<u64>,
    patience: Duration,
    lease: Duration,
    stand_by: bool,
    limits: Limits,
}

impl Default for EngineBuilder {
    fn default() -> Self {
        Self {
            store: None,
            read_through: None,
            definitions: Vec::new(),
            queues: Vec::new(),
            registry: Registry::default(),
            executor: None,
            tags: Vec::new(),
            clock: Arc::new(SystemClock),
            spawner: None,
            seed: None,
            patience: Duration::from_secs(20),
            lease: Duration::from_millis(3_500),
            stand_by: true,
            limits: Limits {
                payload: 4 << 20,
                grace: Duration::from_secs(5),
                park_after: Duration::from_secs(5),
                poison_after: 5,
                keep_audit: Duration::from_secs(365 * 86_400),
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

    /// What hosts look at, [`Runs::list`](super::Runs::list), [`Runs::plan`](super::Runs::plan) and
    /// [`Runs::inspect`](super::Runs::inspect), comes through this cache before the store, such as the `ReadCache` of the feature
    /// `redis`. So it may be as old as the cache says. The engine itself asks the store, whatever it does or decides.
    pub fn read_through(mut self, cache: impl ReadThrough) -> Self {
        self.read_through = Some(Box::new(cache));
        self
    }

    /// Runs of this workflow can be started, and unfinished ones go on.
    pub fn serve<I, O>(mut self, workflow: &Workflow<I, O>) -> Self {
        self.definitions.push(workflow.definition().clone());
        self
    }

    /// Runs can wait in this queue. It is as the last program says that was opened with it, or whoever has
    /// [changed](super::Queues::change) it since; a queue that no program names any more stays.
    pub fn queue(mut self, queue: Queue) -> Self {
        self.queues.push(queue);
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

    /// What this executor has and others may not, such as `gpu`. Runs of workflows that
    /// [require](fastn_core::plan::Plan::requires) a tag are begun, taken over and admitted from queues only by executors that
    /// have it; this one can start them all the same, and await, steer and list them. On a store that gives one lease at a time,
    /// as SQLite does, they wait until an executor that has the tags has the lease.
    ///
    /// ```
    /// # use fastn_runtime::Engine;
    /// # let train = {
    /// #     let draft = fastn_core::Draft { name: "train".into(), requires: vec!["gpu".into()], ..Default::default() };
    /// #     let output = Some(fastn_core::plan::DraftSource::Input);
    /// #     let root = fastn_core::plan::DraftScope { output, ..Default::default() };
    /// #     let plan = fastn_core::Draft { root, ..draft }.check()?;
    /// #     fastn_core::Workflow::<u64, u64>::assume(fastn_core::Definition::new(plan, Vec::new()))
    /// # };
    /// let engine = Engine::builder().serve(&train).tags(["gpu"]);
    /// # Ok::<(), fastn_core::PlanFaults>(())
    /// ```
    pub fn tags<S: Into<String>>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
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

    /// How long a write is tried again while the store is unavailable; by default 20 s. What a store waits for by itself
    /// should be a fraction of it.
    ///
    /// Then an engine whose store [comes back](Store::comes_back), as Postgres does, gives its lease up: its runs leave
    /// memory, and it asks for the next lease, at first often and then every few seconds, for as long as it lives. When it
    /// has one, it goes on with whatever was recorded, and so does every other engine. Until then starting a run, and
    /// whatever else needs the store, is [`Unavailable`](ErrorKind::Unavailable); who waits for the end of a run goes on
    /// waiting. The log says `the store is away; the lease is given up`, then `no lease could be had; trying again`, and at
    /// last `the lease was won`.
    ///
    /// On another store, such as SQLite on a disk that is full, the engine halts: whoever waits is told why, and every later
    /// call is [`Closed`](ErrorKind::Closed).
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long a lease lasts unless it is renewed, which is done three times in that span; by default 3.5 s. So long after an
    /// executor has died others take its runs over, on stores where several hold leases; and so long after the last renewal
    /// one that cannot reach its store begins no further attempts. At least 10 ms.
    ///
    /// Whoever is held up for longer than this, by its store, its machine or a step that blocks a thread of the runtime, may
    /// find its runs taken over: it drops them, and asks for the next lease.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(10));
        self
    }

    /// Whether the engine opens all the same when another has the only lease that the store gives, as with SQLite; by
    /// default yes. It then starts, awaits, cancels and lists runs, and takes over when the other ends or dies. Otherwise
    /// [`EngineBuilder::open`] fails as [`Locked`](ErrorKind::Locked).
    pub fn stand_by(mut self, stand_by: bool) -> Self {
        self.stand_by = stand_by;
        self
    }

    /// A run that waits longer than this leaves memory until its time has come; by default 5 s. One that waits for what may come
    /// at any time leaves it after so long.
    pub fn park_after(mut self, wait: Duration) -> Self {
        self.limits.park_after = wait;
        self
    }

    /// How long it is kept who did what to which run and why, for [`Runs::audit`](super::Runs::audit): a year unless said
    /// otherwise, also where the run itself is gone before. What is recorded in a run is kept with the run.
    pub fn keep_audit(mut self, span: Duration) -> Self {
        self.limits.keep_audit = span;
        self
    }

    /// How many executors in a row may die over a run without its getting any further, before it is parked as **poison**
    /// instead of being begun once more; by default 5, and 0 for never. Dying is the death of the process, or the loss of its
    /// lease; a shutdown is not, and a run that only waits kills nobody. What is parked has ended as
    /// [`Stuck`](fastn_core::Outcome::Stuck), with a failure of the kind [`POISON`](fastn_core::FailureKind::POISON) that says
    /// which steps were under way; none of its functions is called, and nothing is undone.
    ///
    /// When a process dies, nobody knows which of its runs it was. So those over which the next death would park them are begun
    /// one by one in each executor: another one only when the one before got further, ended or waits. Who kills is alone among
    /// them then, and the others are not parked for it, however long their steps take. Of runs that kill from the first moment,
    /// which is what 1 means, nobody can tell. [Dead letters](Engine::dead_letters) can be retried.
    pub fn poison_after(mut self, deaths: u32) -> Self {
        self.limits.poison_after = deaths;
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
    /// [`NotFound`](ErrorKind::NotFound) if a connector's action is missing, or a workflow that another one runs;
    /// [`Locked`](ErrorKind::Locked) if another process runs this store's runs and the engine is not to
    /// [stand by](EngineBuilder::stand_by); [`Invalid`](ErrorKind::Invalid) if there can be no such queue or tag; or if the store
    /// cannot be opened.
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
        let tags = tags(&self.tags)?;
        let definitions = unique(self.definitions, &tags)?;
        check_actions(&definitions, &self.registry)?;
        check_children(&definitions)?;

        let (store, close_store) = match self.store {
            None => (None, false),
            Some(StoreSource::Url(url)) => (Some(fastn_store::open(&url).await?), true),
            Some(StoreSource::Open(store)) => (Some(store), false),
        };
        if self.read_through.is_some() && store.is_none() {
            let why = "an ephemeral engine keeps no runs to look at";
            return Err(Error::new(ErrorKind::Unsupported, OP).caused_by(why));
        }
        let look = match (self.read_through, &store) {
            (Some(cache), Some(store)) => match cache.before(store.clone()) {
                Ok(look) => Some(look),
                Err(error) => {
                    if close_store {
                        // The error that matters is why there is no cache.
                        let _ = store.close().await;
                    }
                    return Err(error);
                }
            },
            _ => None,
        };
        let (keeper, first) = match store {
            None if !self.queues.is_empty() => {
                let why = "an ephemeral engine keeps no queues";
                return Err(Error::new(ErrorKind::Unsupported, OP).caused_by(why));
            }
            None => {
                let tenure = Arc::new(Tenure::endless(spawner.clone()));
                (Keeper::Ephemeral { next: AtomicU64::new(1), tenure }, None)
            }
            Some(store) => {
                let executor = match self.executor {
                    Some(name) => name,
                    None => program_name()?,
                };
                let (lease, patience, tenure) = (self.lease, self.patience, Mutex::default());
                let look = look.unwrap_or_else(|| store.clone());
                let durable = Durable { store, look, close_store, executor, lease, patience, tenure };
                if let Err(error) = shelf::put_all(&durable.store, &*self.clock, patience, self.queues).await {
                    if close_store {
                        // The error that matters is why a queue could not be had.
                        let _ = durable.store.close().await;
                    }
                    return Err(error);
                }
                let first = match reign::apply(&durable, &*self.clock).await {
                    Ok(won) => Some(won),
                    Err(error) if self.stand_by && error.kind() == ErrorKind::Locked => None,
                    Err(error) => {
                        if close_store {
                            // The error that matters is why the lease could not be had.
                            let _ = durable.store.close().await;
                        }
                        return Err(error);
                    }
                };
                (Keeper::Durable(Box::new(durable)), first)
            }
        };
        let chance = self.seed.map_or_else(Chance::from_system, Chance::seeded);
        let (clock, limits) = (self.clock, self.limits);
        let services = Services { keeper, clock, chance, alarms: Alarms::default(), limits };
        let core = Arc::new(Core::new(services, self.registry, definitions, spawner));
        reign::vital(&core, timers::run(core.clone()));
        reign::vital(&core, children::run(core.clone()));
        if core.services.durable().is_some() {
            let first = first.and_then(|won| reign::begin(&core, won));
            reign::vital(&core, reign::run(core.clone(), first));
            reign::vital(&core, listen::run(core.clone()));
            reign::vital(&core, lookout::run(core.clone()));
            #[cfg(feature = "schedules")]
            reign::vital(&core, super::schedules::watchman::run(core.clone()));
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

/// How people know this process: the name of its program.
fn program_name() -> Result<ExecutorId> {
    let program = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&program).file_stem().unwrap_or_default().to_string_lossy();
    ExecutorId::new(&*name)
        .or_else(|_| ExecutorId::new("fastn"))
        .map_err(|e| Error::new(ErrorKind::Internal, "name executor").caused_by(e))
}

fn tags(texts: &[String]) -> Result<BTreeSet<Tag>> {
    let invalid = |text: &String, e| Error::new(ErrorKind::Invalid, "open engine").with("tag", text).caused_by(e);
    texts.iter().map(|text| Tag::new(text).map_err(|e| invalid(text, e))).collect()
}

fn unique(definitions: Vec<Definition>, tags: &BTreeSet<Tag>) -> Result<HashMap<fastn_store::DefinitionKey, Served>> {
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
        let lacks = definition.plan().requires().difference(tags).cloned().collect();
        served.insert(key, Served { definition, plan, lacks });
    }
    Ok(served)
}

/// Every workflow that another one runs must be served.
fn check_children(definitions: &HashMap<fastn_store::DefinitionKey, Served>) -> Result<()> {
    for (key, served) in definitions {
        for node in served.definition.plan().nodes() {
            let NodeKind::Run(child) = &node.kind else { continue };
            let serves = |key: &fastn_store::DefinitionKey| child.is_of(&key.workflow, key.version);
            if !definitions.keys().any(serves) {
                return Err(Error::new(ErrorKind::NotFound, "serve workflow")
                    .with("workflow", &key.workflow)
                    .with("node", &node.name)
                    .with("runs", child)
                    .caused_by("this engine does not serve it"));
            }
        }
    }
    Ok(())
}

/// Every action of every plan must have a connector.
fn check_actions(definitions: &HashMap<fastn_store::DefinitionKey, Served>, registry: &Registry) -> Result<()> {
    let nodes = definitions.values().flat_map(|served| served.definition.plan().nodes());
    registry.check(nodes.filter_map(|node| match &node.kind {
        NodeKind::Call(action) => Some(action),
        _ => None,
    }))
}
