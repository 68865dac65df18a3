//! What hosts call.

use std::sync::Arc;

use fastn_core::{EntryKind, Error, ErrorKind, QueueName, Result, TenantId};
use fastn_store::{QUEUE, QueueCounts, QueueRules, Scan};

use super::queue::name;
use super::shelf;
use crate::engine::core::Core;

/// How many queues are listed at a time.
const PAGE: u32 = 512;

/// The queues of an engine's store: to look at, to change, to pause.
///
/// # Errors
/// Of every method: [`NotFound`](ErrorKind::NotFound) if there is no such queue; [`Unsupported`](ErrorKind::Unsupported) if
/// the engine keeps no runs; or if the store fails.
#[derive(Clone, Debug)]
pub struct Queues {
    core: Arc<Core>,
}

impl Queues {
    pub(in crate::engine) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The names of all queues, in their order.
    pub async fn list(&self) -> Result<Vec<QueueName>> {
        const OP: &str = "list queues";
        let kind = EntryKind::new(QUEUE).map_err(|e| Error::new(ErrorKind::Internal, OP).caused_by(e))?;
        let mut scan = Scan { kind, tenant: Some(TenantId::default()), after: None, limit: PAGE };
        let mut names = Vec::new();
        loop {
            let page = self.core.services.store()?.scan(scan.clone()).await?;
            scan.after = page.last().map(|entry| (entry.key.tenant.clone(), entry.key.name.clone()));
            let more = u32::try_from(page.len()) == Ok(PAGE);
            for entry in page {
                names.push(name(entry.key.name.as_str())?);
            }
            if !more {
                return Ok(names);
            }
        }
    }

    /// What a queue allows.
    pub async fn rules(&self, queue: &str) -> Result<QueueRules> {
        shelf::read(&self.core, &name(queue)?).await
    }

    /// How many runs wait and run, and the same of this many keys: those with most waiting.
    pub async fn counts(&self, queue: &str, keys: u32) -> Result<QueueCounts> {
        let queue = name(queue)?;
        shelf::read(&self.core, &queue).await?;
        self.core.services.store()?.counts(&queue, keys).await
    }

    /// Changes what a queue allows, for all executors and from now on, and gives it as it is then. `change` may be called
    /// more than once. A program that is opened later and says something else about the queue changes it again.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if there can be no such queue.
    pub async fn change(&self, queue: &str, change: impl Fn(&mut QueueRules) + Send + Sync) -> Result<QueueRules> {
        shelf::change(&self.core, &name(queue)?, change).await
    }

    /// Admits no more runs, until the queue is resumed. Those that were admitted go on.
    pub async fn pause(&self, queue: &str) -> Result<()> {
        self.change(queue, |rules| rules.paused = true).await.map(drop)
    }

    /// Admits runs again.
    pub async fn resume(&self, queue: &str) -> Result<()> {
        self.change(queue, |rules| rules.paused = false).await.map(drop)
    }
}
