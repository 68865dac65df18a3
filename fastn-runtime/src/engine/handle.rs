//! A run in the hands of a host.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Outcome, Result, RunId, TenantId};
use fastn_store::{RunKey, RunStatus, Then};
use serde::de::DeserializeOwned;
use tokio::sync::broadcast;

use super::core::Core;
use super::recovery;
use super::run::Told;
use super::services::Keeper;
use super::strand;
use super::watch::{RunEvent, Watch};
use crate::machine::status_of;

/// How often to look for the end of a run that another engine has.
const POLL: Duration = Duration::from_secs(1);

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
        loop {
            // A run in memory tells of its end, and so does one that left memory to wait; one that ended before this
            // handle was made is only in the store.
            let tells = watch.times_begun() > 0 || self.core.find(&self.key).is_some();
            if let Some(end) = watch.peek() {
                return end.clone().map_err(lost);
            }
            let tells = tells
                || match self.recorded().await? {
                    Recorded::Over(outcome) => return Ok(outcome),
                    // It waits, or was lost to this engine: it comes back, or the reason is told.
                    Recorded::Here => match recovery::load(&self.core, &self.key).await? {
                        Some(_) => true,
                        None => continue,
                    },
                    Recorded::Elsewhere => false,
                };
            // Whoever comes after everything was dropped is told by nobody.
            if self.core.is_killed() && watch.peek().is_none() {
                return Err(Error::new(ErrorKind::Closed, "await run").with("run", self.key.run));
            }
            tokio::select! {
                biased;
                end = watch.ended() => return end.map_err(lost),
                () = self.core.services.clock.sleep(POLL), if !tells => {}
            }
        }
    }

    /// How a run that is not in memory stands.
    async fn recorded(&self) -> Result<Recorded> {
        let missing = || Error::new(ErrorKind::NotFound, "find run").with("run", self.key.run);
        let Keeper::Durable { store, lease, .. } = &self.core.services.keeper else {
            self.core.check_open("await run")?;
            return Err(missing());
        };
        let history = store.read(&self.key).await?.ok_or_else(missing)?;
        Ok(match history.outcome() {
            Some(outcome) => Recorded::Over(outcome.clone()),
            None if history.run.holder == Some(lease.token) => Recorded::Here,
            None => Recorded::Elsewhere,
        })
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
            None => {
                let history = self.core.services.store()?.read(&self.key).await?;
                let gone = || Error::new(ErrorKind::NotFound, "find run").with("run", self.key.run);
                history.map(|history| history.run.status).ok_or_else(gone)
            }
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
        RunEvents::new(RunHandle::new(self.core.clone(), self.key.clone(), self.watch()))
    }
}

/// How a run that is not in memory stands.
enum Recorded {
    /// It has ended.
    Over(Outcome),
    /// It is this engine's, which will tell of its end.
    Here,
    /// It is another engine's, or nobody's.
    Elsewhere,
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
        // Given back first, so that the engine sees whether anybody else still waits. What has ended nobody waits for.
        if self.watch.take().is_some_and(|watch| watch.peek().is_none()) {
            self.core.unwatch(&self.key);
        }
    }
}

impl<O> fmt::Debug for RunHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunHandle({})", self.key.run)
    }
}

/// Cancels a run of this engine.
pub(super) async fn cancel(core: &Arc<Core>, key: &RunKey, reason: &str) -> Result<bool> {
    core.check_open("cancel run")?;
    while let Some(run) = recovery::load(core, key).await? {
        match run.tell(&core.services, |machine| machine.cancel(reason))? {
            Told::Turn(pending) => return strand::carry_out(core, &run, pending).await.map(|()| true),
            Told::Nothing => return Ok(false),
            Told::Left => {}
        }
    }
    Ok(false)
}

/// What happens in a run from now on, as it happens.
#[derive(Debug)]
pub struct RunEvents {
    events: broadcast::Receiver<RunEvent>,
    run: RunHandle<()>,
}

impl RunEvents {
    pub(super) fn new(run: RunHandle<()>) -> Self {
        Self { events: run.watch().subscribe(), run }
    }

    /// The next event; `None` when the run has ended, or cannot be found.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub async fn next(&mut self) -> Option<RunEvent> {
        tokio::select! {
            biased;
            event = self.events.recv() => match event {
                Ok(event) => Some(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => Some(RunEvent::Missed(missed)),
                Err(broadcast::error::RecvError::Closed) => None,
            },
            // Looks into the store as well: the run may have been over before anybody listened.
            _ = self.run.outcome() => None,
        }
    }
}
