//! Starting runs.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fastn_core::{BoxFuture, Definition, Error, ErrorKind, Payload, Result, RunId, TenantId};
use fastn_store::{DefinitionKey, Existing, NewRun, RunKey, RunNo, Write, Written};
use serde::Serialize;

use super::core::{Core, Served};
use super::handle::{RunHandle, end_if_over};
use super::recovery;
use super::run::Run;
use super::services::Keeper;
use super::strand;
use super::watch::RunEvents;
use crate::machine::Machine;

/// A run that is about to start: await it.
#[must_use = "a run starts when this is awaited"]
pub struct Start<O> {
    core: Arc<Core>,
    definition: Definition,
    input: Result<Payload>,
    tenant: TenantId,
    run: Option<RunId>,
    output: PhantomData<fn() -> O>,
}

impl<O> Start<O> {
    pub(super) fn new<I: Serialize>(core: Arc<Core>, definition: &Definition, input: &I) -> Self {
        let input = Payload::encode(input);
        let definition = definition.clone();
        Self { core, definition, input, tenant: TenantId::default(), run: None, output: PhantomData }
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
        let (core, key) = (start.core.clone(), RunKey { tenant: start.tenant.clone(), run });
        let events = RunEvents::new(core.watch(&key));
        let handle = start.start().await?;
        end_if_over(&core, &key, &events);
        Ok((handle, events))
    }

    /// Starts the run, and comes back when that is durable.
    async fn start(self) -> Result<RunHandle<O>> {
        const OP: &str = "start run";
        let core = self.core;
        core.check_open(OP)?;
        let definition = key_of(&self.definition);
        let Some(Served { definition: served, plan }) = core.definitions.get(&definition).cloned() else {
            return Err(Error::new(ErrorKind::NotFound, OP)
                .with("workflow", &definition.workflow)
                .with("version", definition.version)
                .caused_by("this engine does not serve it"));
        };
        let input = self.input?;
        if input.len() > core.services.limits.payload {
            return Err(Error::new(ErrorKind::TooLarge, OP)
                .with("input", input.len())
                .with("most", core.services.limits.payload));
        }
        let now = core.services.clock.now();
        let run = self.run.unwrap_or_else(|| core.services.chance.run_id(now));
        let key = RunKey { tenant: self.tenant, run };

        // Made first, so that an end that comes quickly finds somebody waiting.
        let watch = core.watch(&key);
        let handle = RunHandle::new(core.clone(), key.clone(), watch);
        let new = NewRun { key: key.clone(), definition, plan, input: input.clone(), created_at: now };
        let no = match create(&core, new.clone()).await? {
            Created::New(no) => no,
            Created::Old(existing)
                if existing.definition.workflow == new.definition.workflow && existing.input == input =>
            {
                // An answer may have been lost: then the run is this engine's, and nobody else will begin it.
                recovery::load_own(&core, &key).await?;
                return Ok(handle);
            }
            Created::Old(existing) => {
                let what = if existing.input == input { "another workflow" } else { "another input" };
                return Err(Error::new(ErrorKind::Conflict, OP)
                    .with("run", key.run)
                    .caused_by(format!("a run of this id was started with {what}")));
            }
        };
        let (machine, turn) = Machine::start(served.plan().clone(), input, now)?;
        let mut fresh = false;
        let run = core.admit(&key, |watch| {
            fresh = true;
            Arc::new(Run::new(key.clone(), no, served, now, watch, (machine, 0)))
        });
        // Somebody who started the same run at the same time may have begun it already.
        if fresh {
            let pending = run.begin(&core.services, turn)?;
            strand::carry_on(&core, &run, pending);
        }
        Ok(handle)
    }
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

async fn create(core: &Core, new: NewRun) -> Result<Created> {
    match &core.services.keeper {
        Keeper::Durable { journal, .. } => match journal.append(Write::Create(new)).durable().await? {
            Written::Created(no) => Ok(Created::New(no)),
            Written::Exists(existing) => Ok(Created::Old(existing)),
            _ => Err(Error::new(ErrorKind::Internal, "start run").caused_by("the store mistook a creation")),
        },
        Keeper::Ephemeral { next } => Ok(Created::New(RunNo(next.fetch_add(1, Ordering::Relaxed)))),
    }
}

/// What a store knows a definition by.
pub(super) fn key_of(definition: &Definition) -> DefinitionKey {
    let plan = definition.plan();
    DefinitionKey { workflow: plan.name().clone(), version: plan.version(), shape: plan.shape() }
}
