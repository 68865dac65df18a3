//! Starting a run for many items.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use fastn_core::{BoxFuture, Result, TenantId, Workflow};
use fastn_store::HostTransaction;
use serde::Serialize;

use super::core::Core;
use super::handle::RunHandle;
use super::queues::Batching;
use super::start::Start;

/// An item that is about to be added to a run: await it.
#[must_use = "an item is added when this is awaited"]
pub struct StartBatched<O>(Start<O>);

impl<O> StartBatched<O> {
    pub(super) fn new<T: Serialize>(
        core: Arc<Core>,
        workflow: &Workflow<Vec<T>, O>,
        item: &T,
        batching: &Batching,
    ) -> Self {
        Self(Start::new(core, workflow.definition(), item).gathered(batching))
    }

    /// An item of this tenant, queue and workflow with this id is there once for as long as its run is kept: if there is one,
    /// that is the item, whatever this one says.
    pub fn deduplicate(self, id: impl Into<String>) -> Self {
        Self(self.0.known_as(id.into()))
    }

    /// The item is this tenant's; it becomes one run with others of the same.
    pub fn tenant(self, tenant: TenantId) -> Self {
        Self(self.0.tenant(tenant))
    }

    /// The run's priority is the largest of its items'; 0 unless said otherwise.
    pub fn priority(self, priority: i16) -> Self {
        Self(self.0.priority(priority))
    }

    /// Whose the item is; it becomes one run with others of the same. Otherwise the queue's own
    /// [key](super::queues::Queue::key), which is looked for in the item.
    pub fn queue_key(self, key: &str) -> Self {
        Self(self.0.queue_key(key))
    }

    /// What the item takes of its queue's rates, when its run is admitted; 1 unless said otherwise.
    pub fn cost(self, cost: u32) -> Self {
        Self(self.0.cost(cost))
    }

    /// Adds the item in a transaction of the host's own, as [`Start::within`] starts a run: it is there if the transaction is
    /// committed, and never was if it is rolled back. Until then nothing of its queue is admitted.
    ///
    /// # Errors
    /// As awaiting; and what the database says, after which the transaction is as good as over.
    ///
    /// # Cancel safety
    /// If the future is dropped, roll the transaction back.
    pub async fn within<T: HostTransaction>(self, transaction: T) -> Result<RunHandle<O>> {
        self.0.within(transaction).await
    }
}

impl<O: Send + 'static> IntoFuture for StartBatched<O> {
    type Output = Result<RunHandle<O>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.0.into_future()
    }
}

impl<O> fmt::Debug for StartBatched<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StartBatched")
    }
}
