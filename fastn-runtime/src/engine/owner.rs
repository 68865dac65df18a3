//! The host's hold on an engine.

use std::sync::Arc;

use fastn_core::{Result, Workflow};
use serde::Serialize;

use super::core::Core;
use super::letters::DeadLetters;
use super::queues::{Batching, Queues};
use super::runs::Runs;
#[cfg(feature = "schedules")]
use super::schedules::Schedules;
use super::start::Start;
use super::start_batched::StartBatched;

/// Runs workflows in this process.
///
/// Cloning is cheap. When the last clone is dropped without [`Engine::shutdown`], everything stops at once, as in a
/// crash: nothing recorded is lost, and the next engine goes on from there.
#[derive(Clone, Debug)]
pub struct Engine {
    core: Arc<Core>,
    /// Stops everything when the last clone goes.
    _owner: Arc<Owner>,
}

#[derive(Debug)]
struct Owner(Arc<Core>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Engine {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { _owner: Arc::new(Owner(core.clone())), core }
    }

    /// Starts a run of a workflow that this engine serves. Await what it returns, or say more first:
    /// `engine.start(&checkout, order).key("order-42").await?`.
    pub fn start<I: Serialize, O>(&self, workflow: &Workflow<I, O>, input: I) -> Start<O> {
        Start::new(self.core.clone(), workflow.definition(), &input)
    }

    /// Adds an item to a run of a workflow that takes a list of such items. The run waits in a queue until it has as many as
    /// it may have, or until its first item has waited for long enough; then it goes by the limits of the queue as any other.
    /// Its input are its items, in the order in which they came. Items become one run with others of the same workflow and
    /// version, tenant and key in the queue, whoever adds them in whichever process.
    ///
    /// Await what it returns, or say more first. What comes of it is a handle to the run that the item is in, when that is
    /// durable: from then on the item is in this run and in no other, once. To cancel the run is to cancel it for all.
    ///
    /// ```
    /// # use fastn_core::{Result, Workflow};
    /// # use fastn_runtime::{Batching, Engine};
    /// # use std::time::Duration;
    /// # async fn add(engine: Engine, digest: Workflow<Vec<String>, u64>, line: String) -> Result<()> {
    /// let hourly = Batching::new("mail", 100, Duration::from_secs(3_600));
    /// let run = engine.start_batched(&digest, line, &hourly).deduplicate("order 42").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What is no item of the workflow's list does not compile:
    ///
    /// ```compile_fail,E0308
    /// # use fastn_core::Workflow;
    /// # use fastn_runtime::{Batching, Engine};
    /// # fn add(engine: Engine, digest: Workflow<Vec<String>, u64>, hourly: Batching) {
    /// let run = engine.start_batched(&digest, 42, &hourly);
    /// # }
    /// ```
    ///
    /// # Errors
    /// As starting a run of a queue; [`Invalid`](fastn_core::ErrorKind::Invalid) for lists of none.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the item back.
    pub fn start_batched<T: Serialize, O>(
        &self,
        workflow: &Workflow<Vec<T>, O>,
        item: T,
        batching: &Batching,
    ) -> StartBatched<O> {
        StartBatched::new(self.core.clone(), workflow, &item, batching)
    }

    /// The runs of this engine's store: to list, inspect and cancel.
    pub fn runs(&self) -> Runs {
        Runs::new(self.core.clone())
    }

    /// The runs of this engine's store that failed for good: to list, retry and dismiss.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(self.core.clone())
    }

    /// The queues of this engine's store.
    pub fn queues(&self) -> Queues {
        Queues::new(self.core.clone())
    }

    /// The schedules of this engine's store.
    #[cfg(feature = "schedules")]
    pub fn schedules(&self) -> Schedules {
        Schedules::new(self.core.clone())
    }

    /// Stops: no new runs and no new attempts, those under way have the engine's grace to end, and what they gave is
    /// recorded. Then they are dropped, the lease is released, and a store that the engine opened itself is closed.
    /// Unfinished runs go on at once in other engines on the store, or when one is next opened. Later calls are
    /// [`Closed`](fastn_core::ErrorKind::Closed).
    ///
    /// # Errors
    /// If the store failed; everything is stopped all the same.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the engine stopping; call again to wait for the end.
    pub async fn shutdown(&self) -> Result<()> {
        self.core.shutdown().await
    }
}
