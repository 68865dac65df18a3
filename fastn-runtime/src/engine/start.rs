//! Starting runs.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fastn_core::{
    BoxFuture, Definition, Error, ErrorKind, Payload, QueueKey, QueueName, Result, RunId, Seed, TenantId,
};
use fastn_store::{Batch, DefinitionKey, Existing, HostTransaction, NewRun, RunKey, RunNo, Write, Written};
use serde::Serialize;
use tokio::sync::oneshot;

use super::attempt::Home;
use super::core::{Core, Served};
use super::handle::{RunEvents, RunHandle};
use super::pending::Pending;
use super::queues::{self, Batching, Only, Place, Singleton, enqueue};
use super::recovery;
use super::run::Run;
use super::same::{check_existing, check_same};
use super::services::Keeper;
use super::strand::{self, Strand};
use super::tenure::Tenure;
use super::watch::Watch;
use crate::journal::Ticket;
use crate::machine::Machine;
use crate::patience::patiently;

const OP: &str = "start run";

/// A run that is about to start: await it.
#[must_use = "a run starts when this is awaited"]
pub struct Start<O> {
    core: Arc<Core>,
    definition: Definition,
    input: Result<Payload>,
    tenant: TenantId,
    run: Option<RunId>,
    place: Place,
    /// Whether its input may be what another run has done.
    seeded: bool,
    output: PhantomData<fn() -> O>,
}

impl<O> Start<O> {
    pub(super) fn new<I: Serialize>(core: Arc<Core>, definition: &Definition, input: &I) -> Self {
        Self::given(core, definition, Payload::encode(input))
    }

    /// A run with an input that was encoded, if it could be.
    pub(super) fn given(core: Arc<Core>, definition: &Definition, input: Result<Payload>) -> Self {
        let definition = definition.clone();
        let (tenant, place) = (TenantId::default(), Place::default());
        Self { core, definition, input, tenant, run: None, place, seeded: false, output: PhantomData }
    }

    /// Its input is what a run of the same plan was given, and may begin with what another one has done.
    pub(super) fn seeded(mut self) -> Self {
        self.seeded = true;
        self
    }

    /// The run gets this id. Starting with an id that exists attaches to that run if it has the same workflow and
    /// input, and is a [`Conflict`](ErrorKind::Conflict) otherwise.
    pub fn id(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// The run gets the id that belongs to a key of the host's, such as an order number: see [`RunId::named`].
    pub fn key(self, key: &str) -> Self {
        self.id(RunId::named(key))
    }

    /// The run is this tenant's.
    pub fn tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = tenant;
        self
    }

    /// The run waits in this queue until it is its turn.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.place.queue = Some(name.into());
        self
    }

    /// Of the runs that wait in its queue those with larger numbers go first; 0 unless said otherwise. None waits for ever:
    /// see [`Queue::ageing`](super::Queue::ageing).
    pub fn priority(mut self, priority: i16) -> Self {
        self.place.priority = priority;
        self.says()
    }

    /// Whose the run is, for the limits of its queue that count by key; otherwise the queue's own [key](super::Queue::key).
    pub fn queue_key(mut self, key: &str) -> Self {
        self.place.key = Some(QueueKey::of(key));
        self.says()
    }

    /// The run waits in its queue for this span at least.
    pub fn delay(mut self, span: Duration) -> Self {
        self.place.delay = span;
        self.says()
    }

    /// What the run takes of its queue's rates; 1 unless said otherwise.
    pub fn cost(mut self, cost: u32) -> Self {
        self.place.cost = Some(cost);
        self.says()
    }

    /// If a run of this tenant and queue with this id waits or runs, that one is attached to, and none is started.
    pub fn deduplicate(mut self, id: impl Into<String>) -> Self {
        self.place.only.push(Only::Deduplicate(id.into()));
        self.says()
    }

    /// The run waits until no other of this tenant and queue was started with this id for a span, but at most so long. Of
    /// those that were there is one run then, with the input of the last. A run of another workflow or version is another.
    pub fn debounce(mut self, id: impl Into<String>, span: Duration, most: Duration) -> Self {
        self.place.only.push(Only::Debounce { id: id.into(), span, most });
        self.says()
    }

    /// Of this run's key there is one at a time in this queue and tenant, and this becomes of it if there is another.
    pub fn singleton(mut self, singleton: Singleton) -> Self {
        self.place.only.push(Only::Singleton(singleton));
        self.says()
    }

    /// It is an item that becomes one run with others.
    pub(super) fn gathered(mut self, batching: &Batching) -> Self {
        let batching = batching.clone();
        self.place.queue = Some(batching.queue().to_owned());
        self.place.only.push(Only::Gather { batching, id: None });
        self
    }

    /// The item is known by this id.
    pub(super) fn known_as(mut self, name: String) -> Self {
        for only in &mut self.place.only {
            if let Only::Gather { id, .. } = only {
                *id = Some(name.clone());
            }
        }
        self
    }

    fn says(mut self) -> Self {
        self.place.said = true;
        self
    }

    /// Starts the run like awaiting does, and listens from its very beginning: what happens in it, and the run.
    ///
    /// # Errors
    /// As awaiting.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the start back.
    pub async fn watched(self) -> Result<(RunHandle<O>, RunEvents)> {
        let mut start = self;
        // The id must be known before the start for anybody to listen from the start.
        let run = start.run.unwrap_or_else(|| start.core.services.chance.run_id(start.core.services.clock.now()));
        start.run = Some(run);
        let key = RunKey { tenant: start.tenant.clone(), run };
        let watch = start.core.watch(&key);
        let events = RunEvents::new(RunHandle::new(start.core.clone(), key, watch));
        let handle = start.start().await?;
        // Another one may have been attached to.
        let events = if handle.id() == run { events } else { handle.events() };
        Ok((handle, events))
    }

    /// Starts the run in a transaction of the host's own, on the database of the engine's store: it is there if the
    /// transaction is committed, and never was if it is rolled back. Comes back before that; whoever waits for the run
    /// waits for the commit too.
    ///
    /// ```ignore
    /// let transaction = client.transaction().await?;
    /// transaction.execute("INSERT INTO orders (id) VALUES ($1)", &[&id]).await?;
    /// let run = engine.start(&checkout, order).within(&transaction).await?;
    /// transaction.commit().await?;
    /// ```
    ///
    /// A run of a queue waits there from the commit on. Whoever starts the same meanwhile, by its id or by an id by which runs
    /// are deduplicated, waits for the end of the transaction.
    ///
    /// # Errors
    /// As awaiting; and what the database says, after which the transaction is as good as over.
    /// [`Unsupported`](ErrorKind::Unsupported), before anything is done, where a run in progress is to be
    /// [cancelled](Singleton::CancelInProgress), which cannot be rolled back; and for one that is
    /// [debounced](Start::debounce) on Postgres, since its queue could admit nothing until the end of the transaction.
    ///
    /// # Cancel safety
    /// If the future is dropped, roll the transaction back.
    pub async fn within<T: HostTransaction>(self, transaction: T) -> Result<RunHandle<O>> {
        let Prepared { core, new, queue, place, .. } = self.prepare()?;
        core.services.store()?.introduce(&new.key.tenant, &new.definition).await?;
        if let Some(queue) = queue {
            let run = queues::enqueue_within(&core, &queue, new, &place, transaction).await?;
            let watch = core.watch(&run);
            return Ok(RunHandle::new(core, run, watch));
        }
        let handle = RunHandle::new(core.clone(), new.key.clone(), core.watch(&new.key));
        match transaction.create(&new).await? {
            Written::Created(_) => Ok(handle),
            Written::Exists(existing) => check_existing(&new, &existing).map(|()| handle),
            _ => Err(mistaken()),
        }
    }

    /// What is to be created, if this engine can.
    fn prepare(self) -> Result<Prepared> {
        let core = self.core;
        core.check_open(OP)?;
        let definition = key_of(&self.definition);
        let Some(Served { definition: served, plan, lacks }) = core.definitions.get(&definition).cloned() else {
            return Err(Error::new(ErrorKind::NotFound, OP)
                .with("workflow", &definition.workflow)
                .with("version", definition.version)
                .caused_by("this engine does not serve it"));
        };
        if let (Some(tag), None) = (lacks.first(), core.services.durable()) {
            return Err(Error::new(ErrorKind::Unsupported, OP)
                .with("workflow", &definition.workflow)
                .with("tag", tag)
                .caused_by("this executor has not the tag, and an ephemeral engine has no other"));
        }
        let input = self.input?;
        if Seed::is(&input) && !self.seeded {
            return Err(Error::new(ErrorKind::Invalid, OP).caused_by("no input from outside is a seed"));
        }
        // The list of an item has two brackets more.
        let size = input.len() + if self.place.batching().is_some() { 2 } else { 0 };
        if size > core.services.limits.payload {
            let most = core.services.limits.payload;
            return Err(Error::new(ErrorKind::TooLarge, OP).with("input", size).with("most", most));
        }
        let queue = self.place.check()?;
        let now = core.services.clock.now();
        let run = self.run.unwrap_or_else(|| core.services.chance.run_id(now));
        let key = RunKey { tenant: self.tenant, run };
        let new = NewRun { key, definition, plan, input, created_at: now };
        Ok(Prepared { core, served, here: lacks.is_empty(), new, queue, place: self.place })
    }

    /// Starts the run, and comes back when that is durable. Dropping the future does not take the start back.
    async fn start(self) -> Result<RunHandle<O>> {
        let Prepared { core, served, here, new, queue, place } = self.prepare()?;
        if let Some(queue) = queue {
            let run = enqueue(&core, &queue, new, &place).await?;
            let watch = core.watch(&run);
            return Ok(RunHandle::new(core, run, watch));
        }
        let new = Arc::new(new);
        // Made first, so that an end that comes quickly finds somebody waiting.
        let watch = core.watch(&new.key);
        let handle = RunHandle::new(core.clone(), new.key.clone(), watch.clone());
        let creating = watch.create();
        let created = create_somehow(&core, &served, &new, &watch, here).await;
        drop(creating);
        if core.awaits_others() {
            // Its end may be to be looked for, which was left until now.
            core.bells.ends.notify_one();
        }
        created.map(|()| handle)
    }
}

/// Creates a run: here if it may run here and there is a lease, or else in nobody's hands. Leases may be lost meanwhile.
pub(super) async fn create_somehow(
    core: &Arc<Core>,
    served: &Definition,
    new: &Arc<NewRun>,
    watch: &Arc<Watch>,
    here: bool,
) -> Result<()> {
    let began = core.services.clock.uptime();
    loop {
        let done = match core.services.tenure().filter(|_| here) {
            Some(tenure) => start_here(core, &tenure, served, new, watch.clone()).await,
            None => start_anywhere(core, new, began).await.map(Some),
        };
        match done {
            Ok(Some(())) => return Ok(()),
            // The lease was lost. Whether the run was created is not known, and it does no harm to create it again.
            Ok(None) => core.check_open(OP)?,
            Err(error) => return Err(error),
        }
    }
}

/// A run that is about to be created.
struct Prepared {
    core: Arc<Core>,
    served: Definition,
    /// Whether this executor has all the tags that it needs.
    here: bool,
    new: NewRun,
    /// Where it is to wait, if it is.
    queue: Option<QueueName>,
    place: Place,
}

/// Creates a run in the hands of this engine and begins it. `None` if the lease was lost meanwhile.
async fn start_here(
    core: &Arc<Core>,
    tenure: &Arc<Tenure>,
    served: &Definition,
    new: &Arc<NewRun>,
    watch: Arc<Watch>,
) -> Result<Option<()>> {
    let creation = create(core, tenure, new);
    let (reply, answer) = oneshot::channel();
    let (owner, under, served, new) = (core.clone(), tenure.clone(), served.clone(), new.clone());
    // In a task of its own: once the run is created it must be begun, whether or not the caller still waits.
    tenure.tasks.spawn(Box::pin(async move {
        let launched = launch(&owner, &under, served, &new, creation, &watch).await;
        // Held until here, so that whoever waits for the run in the meantime waits for the same.
        drop(watch);
        let (result, begun) = match launched {
            Ok(begun) => (Ok(()), begun),
            Err(error) => (Err(error), None),
        };
        if begun.is_none() {
            owner.unwatch(&new.key);
        }
        drop((new, under));
        // Who no longer waits need not know.
        let _ = reply.send(result);
        if let Some((run, pending)) = begun {
            Strand::after(Arc::new(Home { core: owner, run }), pending).await;
        }
    }));
    match answer.await {
        Ok(Ok(())) => Ok(Some(())),
        Ok(Err(error)) if strand::is_of_lease(&error) => {
            tenure.left().await;
            Ok(None)
        }
        Ok(Err(error)) => Err(error),
        Err(_) if tenure.is_over() && !core.is_killed() => Ok(None),
        Err(_) => Err(core.gone(OP)),
    }
}

/// Creates a run in nobody's hands, for whoever has the lease, or the tags. Patience with the store began then, by uptime.
async fn start_anywhere(core: &Arc<Core>, new: &Arc<NewRun>, began: Duration) -> Result<()> {
    let (reply, answer) = oneshot::channel();
    let (owner, new) = (core.clone(), new.clone());
    // In a task of its own: dropping the call does not take the start back.
    core.spawn(Box::pin(async move {
        // Who no longer waits need not know.
        let _ = reply.send(create_unheld(&owner, &new, began).await);
    }));
    answer.await.unwrap_or_else(|_| Err(core.gone(OP)))
}

async fn create_unheld(core: &Core, new: &Arc<NewRun>, began: Duration) -> Result<()> {
    let Some(durable) = core.services.durable() else { return Err(core.gone(OP)) };
    let clock = &*core.services.clock;
    let batch = || Batch { lease: None, now: clock.now(), writes: vec![Write::Create(new.clone())] };
    // What was waited under a lease that was lost meanwhile counts.
    let patience = durable.patience.saturating_sub(clock.uptime().saturating_sub(began));
    let written = patiently(clock, patience, || durable.store.commit(batch())).await?;
    match written.into_iter().next() {
        Some(Written::Created(_)) => Ok(()),
        Some(Written::Exists(existing)) => check_existing(new, &existing),
        _ => Err(mistaken()),
    }
}

/// Begins a run when its creation is durable. `None` if there is one of its id already, and that one is attached to.
async fn launch(
    core: &Arc<Core>,
    tenure: &Arc<Tenure>,
    served: Definition,
    new: &NewRun,
    creation: Creation,
    watch: &Watch,
) -> Result<Option<(Arc<Run>, Pending)>> {
    let no = match creation.durable().await? {
        Created::New(no) => no,
        Created::Old(existing) => {
            check_existing(new, &existing)?;
            // An answer may have been lost: then the run is this engine's, and nobody else will begin it.
            recovery::load_own(core, &new.key).await?;
            return Ok(None);
        }
    };
    let (machine, turn) = Machine::start(served.plan().clone(), new.input.clone(), new.created_at)?;
    let begun = core.admit_since(tenure, &new.key, watch, 0, |watch| {
        let under = (tenure.clone(), watch);
        let run = Arc::new(Run::new(new.key.clone(), no, served, new.created_at, under, (machine, 0)));
        let pending = run.begin(&core.services, turn)?;
        Ok((run, pending))
    })?;
    Ok(match begun {
        Some((run, Some(pending))) => Some((run, pending)),
        // Somebody who started the same run at the same time has begun it.
        Some((run, None)) => {
            check_same(new, run.is_of(&new.definition.workflow), run.was_given(&new.input))?;
            None
        }
        None => None,
    })
}

impl<O: Send + 'static> IntoFuture for Start<O> {
    type Output = Result<RunHandle<O>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

enum Created {
    New(RunNo),
    Old(Box<Existing>),
}

/// A creation on its way.
enum Creation {
    Written(Ticket),
    /// Nothing is written of it.
    Numbered(RunNo),
}

fn create(core: &Core, tenure: &Tenure, new: &Arc<NewRun>) -> Creation {
    match (&core.services.keeper, tenure.journal()) {
        (Keeper::Ephemeral { next, .. }, _) => Creation::Numbered(RunNo(next.fetch_add(1, Ordering::Relaxed))),
        (_, Some(journal)) => Creation::Written(journal.create(new.clone())),
        (_, None) => Creation::Written(Ticket::failed(Arc::new(Error::new(ErrorKind::Internal, OP)))),
    }
}

fn mistaken() -> Error {
    Error::new(ErrorKind::Internal, OP).caused_by("the store mistook a creation")
}

impl Creation {
    async fn durable(self) -> Result<Created> {
        match self {
            Self::Numbered(no) => Ok(Created::New(no)),
            Self::Written(ticket) => match ticket.durable().await? {
                Written::Created(no) => Ok(Created::New(no)),
                Written::Exists(existing) => Ok(Created::Old(existing)),
                _ => Err(mistaken()),
            },
        }
    }
}

/// What a store knows a definition by.
pub(super) fn key_of(definition: &Definition) -> DefinitionKey {
    let plan = definition.plan();
    DefinitionKey { workflow: plan.name().clone(), version: plan.version(), shape: plan.shape() }
}
