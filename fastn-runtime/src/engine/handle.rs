//! A run in the hands of a host.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use fastn_core::{By, Error, ErrorKind, Outcome, Payload, Result, RunId, Signal, TenantId};
use fastn_store::{RunKey, RunStatus, Then};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast;

use super::core::Core;
use super::recovery::{self, Found};
use super::signals::SendSignal;
use super::steer;
use super::watch::{RunEvent, Watch};
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
        loop {
            // A run in memory tells of its end, and so does one that left memory to wait, or was lost with the lease; one
            // that ended before this handle was made is only in the store.
            let tells = watch.times_begun() > 0 || self.core.find(&self.key).is_some();
            if let Some(end) = watch.peek() {
                return end.clone().map_err(lost);
            }
            if !tells {
                match recorded(&self.core, &self.key).await? {
                    Recorded::Over(outcome) => return Ok(outcome),
                    // It waits, or was lost to this engine: it comes back, or the reason is told.
                    Recorded::Here => match recovery::load(&self.core, &self.key).await? {
                        Found::Here(_) => {}
                        Found::Over | Found::Elsewhere => continue,
                    },
                    Recorded::Elsewhere => self.core.await_elsewhere(&self.key, &watch),
                }
            }
            // Whoever comes after everything was dropped is told by nobody.
            if self.core.is_killed() && watch.peek().is_none() {
                return Err(Error::new(ErrorKind::Closed, "await run").with("run", self.key.run));
            }
            return watch.ended().await.map_err(lost);
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
            None => {
                let found = self.core.services.store()?.summaries(std::slice::from_ref(&self.key)).await?;
                let gone = || Error::new(ErrorKind::NotFound, "find run").with("run", self.key.run);
                found.into_iter().next().flatten().map(|run| run.status).ok_or_else(gone)
            }
        }
    }

    /// Cancels the run, wherever it is: what runs is stopped, what was done is undone. Comes back when the request is
    /// durable; whether it found anything to cancel. A run that another executor has is told within moments, and one that
    /// nobody has ever had ends at once, whoever serves it. One that was begun and that nobody has just now is told as soon as
    /// somebody has it who serves it, since nobody else could undo what it has done: until then
    /// [`Inspection::cancelling`](super::runs::Inspection::cancelling) says so. A run that is to be told counts as found,
    /// although it may end before.
    ///
    /// Who cancels it and why is recorded in the run and, if it is [somebody](By::is_somebody) in particular, listed in the
    /// [audit](super::runs::Runs::audit): `run.cancel("out of stock")`, or `run.cancel(By::new("ann", "out of stock"))`. A run that
    /// is [paused](super::runs::Runs::pause) is paused no longer then: what it did is undone.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is no such run; [`TooLarge`](ErrorKind::TooLarge) if the reason is larger
    /// than a payload may be; or if the store fails.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the request back.
    pub async fn cancel(&self, by: impl Into<By>) -> Result<bool> {
        steer::cancel(&self.core, &self.key, &by.into()).await
    }

    /// Pauses the run, wherever it is: see [`Runs::pause`](super::runs::Runs::pause).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn pause(&self, by: By) -> Result<bool> {
        steer::pause(&self.core, &self.key, &by).await
    }

    /// Lets the run go on that is paused: see [`Runs::resume`](super::runs::Runs::resume).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn resume(&self, by: By) -> Result<bool> {
        steer::resume(&self.core, &self.key, &by).await
    }

    /// Tells the run something, for nodes that [wait](fastn_core::plan::NodeKind::Wait) for it. Await what this gives.
    pub fn signal<T: Serialize>(&self, signal: Signal<T>, value: &T) -> SendSignal {
        SendSignal::new(self.core.clone(), self.key.clone(), signal.name(), Payload::encode(value))
    }

    /// What happens in the run from now on, as it happens.
    pub fn events(&self) -> RunEvents {
        RunEvents::new(RunHandle::new(self.core.clone(), self.key.clone(), self.watch()))
    }
}

/// How a run that is not in memory stands.
pub(super) async fn recorded(core: &Core, key: &RunKey) -> Result<Recorded> {
    let missing = || Error::new(ErrorKind::NotFound, "find run").with("run", key.run);
    let Some(durable) = core.services.durable() else {
        core.check_open("await run")?;
        return Err(missing());
    };
    let tenure = core.services.tenure();
    let summary = durable.store.summaries(std::slice::from_ref(key)).await?;
    let summary = summary.into_iter().next().flatten().ok_or_else(missing)?;
    if !summary.status.is_final() {
        let ours = summary.holder.is_some() && summary.holder == tenure.and_then(|tenure| tenure.token());
        return Ok(if ours { Recorded::Here } else { Recorded::Elsewhere });
    }
    let history = durable.store.read(key).await?.ok_or_else(missing)?;
    let unsaid = || Error::new(ErrorKind::Corrupt, "await run").with("run", key.run).caused_by("no end is recorded");
    history.outcome().cloned().map(Recorded::Over).ok_or_else(unsaid)
}

/// How a run that is not in memory stands.
pub(super) enum Recorded {
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
