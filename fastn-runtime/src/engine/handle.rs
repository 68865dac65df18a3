//! A run in the hands of a host.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use fastn_core::{Error, ErrorKind, Outcome, Result, RunId, TenantId};
use fastn_store::{History, RunKey, RunStatus, Then};
use serde::de::DeserializeOwned;

use super::core::Core;
use super::recovery;
use super::strand;
use super::watch::{RunEvents, Watch};
use crate::machine::status_of;

/// A run whose output is an `O`. Dropping it does not stop the run.
pub struct RunHandle<O> {
    core: Arc<Core>,
    key: RunKey,
    watch: Option<Arc<Watch>>,
    output: PhantomData<fn() -> O>,
}

impl<O> RunHandle<O> {
    pub(super) fn new(core: Arc<Core>, key: RunKey, watch: Arc<Watch>) -> Self {
        Self { core, key, watch: Some(watch), output: PhantomData }
    }

    /// The run's id.
    pub fn id(&self) -> RunId {
        self.key.run
    }

    /// Whose run it is.
    pub fn tenant(&self) -> &TenantId {
        &self.key.tenant
    }

    fn watch(&self) -> Arc<Watch> {
        self.watch.clone().unwrap_or_default()
    }

    /// Waits for the run's end, however it ends.
    ///
    /// # Errors
    /// If the engine shuts down or its store fails before; the run itself goes on when an engine is next opened.
    ///
    /// # Cancel safety
    /// Safe: the run does not notice.
    pub async fn outcome(&self) -> Result<Outcome> {
        let lost = |error: Arc<Error>| {
            Error::new(error.kind(), "await run").with("run", self.key.run).caused_by(error.chain().join(": "))
        };
        let watch = self.watch();
        if let Some(end) = watch.peek() {
            return end.clone().map_err(lost);
        }
        // A run in memory tells of its end; one that ended before this handle was made is only in the store.
        if self.core.find(&self.key).is_none() {
            // It may have ended between the two looks.
            if let Some(end) = watch.peek() {
                return end.clone().map_err(lost);
            }
            if let Some(outcome) = recorded(&self.core, &self.key).await?.outcome() {
                return Ok(outcome.clone());
            }
        }
        tokio::select! {
            biased;
            end = watch.ended() => end.map_err(lost),
            () = self.core.killed() => Err(Error::new(ErrorKind::Closed, "await run").with("run", self.key.run)),
        }
    }

    /// Where the run stands.
    ///
    /// # Errors
    /// If the store cannot be read.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn status(&self) -> Result<RunStatus> {
        if let Some(Ok(outcome)) = self.watch().peek() {
            return Ok(status_of(outcome));
        }
        match self.core.find(&self.key) {
            Some(run) => Ok(match run.then() {
                Then::End(status) => status,
                Then::Wait(_) => RunStatus::Waiting,
                _ => RunStatus::Running,
            }),
            None => Ok(recorded(&self.core, &self.key).await?.run.status),
        }
    }

    /// Cancels the run: what runs is stopped, what was done is undone. Comes back when the request is durable; whether it
    /// found anything to cancel.
    ///
    /// # Errors
    /// If the run is not served by this engine, or the store fails.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the request back.
    pub async fn cancel(&self, reason: &str) -> Result<bool> {
        cancel(&self.core, &self.key, reason).await
    }

    /// What happens in the run from now on, as it happens.
    pub fn events(&self) -> RunEvents {
        let events = RunEvents::new(self.watch());
        end_if_over(&self.core, &self.key, &events);
        events
    }
}

impl<O: DeserializeOwned> RunHandle<O> {
    /// Waits for the run's end and gives its output.
    ///
    /// # Errors
    /// [`RunFailed`](ErrorKind::RunFailed) with the [`Failure`](fastn_core::Failure) as its source, if the run failed or
    /// is stuck; [`Cancelled`](ErrorKind::Cancelled) if it was cancelled; otherwise as [`RunHandle::outcome`].
    ///
    /// # Cancel safety
    /// Safe: the run does not notice.
    pub async fn output(&self) -> Result<O> {
        let failed = |kind| Error::new(kind, "run workflow").with("run", self.key.run);
        match self.outcome().await? {
            Outcome::Succeeded(output) => output.decode(),
            Outcome::Cancelled(failure) => Err(failed(ErrorKind::Cancelled).caused_by(failure)),
            Outcome::Failed(failure) | Outcome::Stuck(failure) => Err(failed(ErrorKind::RunFailed).caused_by(failure)),
            _ => Err(failed(ErrorKind::Unsupported).caused_by("an outcome of a later version")),
        }
    }
}

impl<O> Drop for RunHandle<O> {
    fn drop(&mut self) {
        // Given back first, so that the engine sees whether anybody else still waits.
        self.watch = None;
        self.core.unwatch(&self.key);
    }
}

impl<O> fmt::Debug for RunHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunHandle({})", self.key.run)
    }
}

/// What is recorded of a run.
async fn recorded(core: &Core, key: &RunKey) -> Result<History> {
    let history = core.services.store()?.read(key).await?;
    history.ok_or_else(|| Error::new(ErrorKind::NotFound, "find run").with("run", key.run))
}

/// Ends what is told of a run that was over before: nobody else would, since it does not come back into memory.
pub(super) fn end_if_over(core: &Arc<Core>, key: &RunKey, events: &RunEvents) {
    if core.find(key).is_some() {
        return;
    }
    let (owner, key, over) = (core.clone(), key.clone(), events.over().drop_guard());
    core.spawn(async move {
        if recorded(&owner, &key).await.is_ok_and(|history| history.outcome().is_none()) {
            over.disarm();
        }
    });
}

/// Cancels a run of this engine.
pub(super) async fn cancel(core: &Arc<Core>, key: &RunKey, reason: &str) -> Result<bool> {
    core.check_open("cancel run")?;
    let Some(run) = recovery::load(core, key).await? else { return Ok(false) };
    let Some(pending) = run.tell(&core.services, |machine| machine.cancel(reason))? else { return Ok(false) };
    strand::go(core, &run, pending).await;
    Ok(true)
}
