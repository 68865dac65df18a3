//! How an engine ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result};

use super::core::Core;
use super::memory::in_order;
use crate::clock::within;
use crate::engine::services::Keeper;
use crate::engine::tenure::Tenure;

/// How long tasks that do not yield are waited for after everything was dropped.
const STUBBORN: Duration = Duration::from_secs(2);

impl Core {
    /// The engine cannot go on: nothing more is written, everything stops, and everybody who waits, now or later, is told
    /// why.
    pub(in crate::engine) fn halt(&self, error: &Arc<Error>) {
        tracing::error!(error = ?error, "the engine halts");
        let _ = self.halted.set(error.clone());
        if let Some(tenure) = self.last_tenure()
            && let Some(journal) = tenure.journal()
        {
            journal.halt(error.clone());
        }
        self.end_all(error);
    }

    /// Whether everything was dropped.
    pub(in crate::engine) fn is_killed(&self) -> bool {
        self.tasks.is_killed()
    }

    /// Everything stops at once.
    pub(in crate::engine) fn kill(&self) {
        if !self.tasks.is_killed() {
            self.end_all(&Arc::new(Error::new(ErrorKind::Closed, "run workflow")));
        }
    }

    /// Everything stops at once, and the store is given back as soon as all tasks have ended.
    pub(in crate::engine) fn abandon(self: &Arc<Self>) {
        self.kill();
        if self.given_back.swap(true, Ordering::SeqCst) {
            return;
        }
        let core = self.clone();
        self.tasks.spawn_beside(Box::pin(async move {
            if let Err(error) = core.give_back().await {
                tracing::warn!(error = ?error, "the store could not be given back");
            }
        }));
    }

    fn end_all(&self, error: &Arc<Error>) {
        // In this order: nothing that comes of being stopped is recorded.
        self.tasks.kill();
        let tenure = self.last_tenure();
        let journal = tenure.as_ref().and_then(|tenure| tenure.journal());
        if let Some(journal) = journal {
            journal.close();
        }
        if let Some(tenure) = &tenure {
            tenure.tasks.kill();
            tenure.recovered.raise();
            tenure.leave();
        }
        self.stopping.raise();
        for entry in in_order(std::mem::take(&mut *self.runs())) {
            // What was written is told, even where the task that would have told it is gone.
            let end = entry.run.and_then(|run| run.recorded_end());
            entry.watch.end(end.ok_or_else(|| error.clone()));
        }
        self.awaits().clear();
        if let Some(journal) = journal {
            journal.abandon(error);
        }
    }

    /// The present tenure, or that which was lost last.
    fn last_tenure(&self) -> Option<Arc<Tenure>> {
        match &self.services.keeper {
            Keeper::Durable(durable) => durable.tenure(),
            Keeper::Ephemeral { tenure, .. } => Some(tenure.clone()),
        }
    }

    pub(in crate::engine) async fn shutdown(&self) -> Result<()> {
        self.stopping.raise();
        // The journal's own task ends when the journal is closed; until then it must serve those that drain.
        let drained = async {
            for run in self.in_memory() {
                run.idle().await;
            }
        };
        let tenure = self.services.tenure();
        let journal = tenure.as_ref().and_then(|tenure| tenure.journal());
        // What halts has nothing to drain.
        let halted = async {
            match journal {
                Some(journal) => journal.ended().await,
                None => std::future::pending().await,
            }
        };
        let done = async {
            tokio::select! {
                biased;
                () = drained => {}
                () = halted => {}
            }
        };
        let (clock, grace) = (&*self.services.clock, self.services.limits.grace);
        let _ = within(clock, grace, done).await;
        if let Some(journal) = journal {
            journal.close();
            let _ = within(clock, grace, journal.ended()).await;
        }
        self.kill();
        self.given_back.store(true, Ordering::SeqCst);
        let given_back = self.give_back().await;
        if self.halted.get().is_some() { Err(self.gone("shut down")) } else { given_back }
    }

    /// Waits for the tasks, which were told to end, and lets go of the store.
    async fn give_back(&self) -> Result<()> {
        let tenure = self.last_tenure();
        if let Some(tenure) = &tenure {
            self.cleared(tenure).await;
        }
        if within(&*self.services.clock, STUBBORN, self.tasks.ended()).await.is_none() {
            tracing::warn!(tasks = self.tasks.len(), "tasks that block their thread outlive the engine");
        }
        self.beside.ended().await;
        let Some(durable) = self.services.durable() else { return Ok(()) };
        // One that was lost has ended, or ends by itself.
        let tenure = tenure.as_ref().filter(|tenure| !tenure.is_over());
        let released = match tenure.and_then(|tenure| tenure.lease()) {
            Some(lease) => durable.store.release(lease).await,
            None => Ok(()),
        };
        // Closing what is looked through closes what is behind it.
        if durable.close_store { durable.look.close().await.and(released) } else { released }
    }

    /// Waits for the tasks of a tenure, which were told to end.
    pub(in crate::engine) async fn cleared(&self, tenure: &Tenure) {
        if within(&*self.services.clock, STUBBORN, tenure.tasks.ended()).await.is_none() {
            tracing::warn!(tasks = tenure.tasks.len(), "steps that block their thread outlive the lease");
        }
    }
}
