//! A task that makes attempts one after the other.
//!
//! When a step is done and durable, the strand goes on with the first of the steps that follow, itself; only the others
//! get strands of their own. So a chain of steps never goes through a queue.

use std::sync::Arc;

use fastn_core::{BoxFuture, Error, Result};
use fastn_store::Then;
use tokio::sync::oneshot;

use super::attempt::attempt;
use super::core::Core;
use super::run::{Pending, Run};
use crate::machine::{Action, Task};

/// Starts a strand with this attempt.
fn begin(core: &Arc<Core>, run: &Arc<Run>, task: Task) {
    // Boxed, since strands begin strands.
    let strand: BoxFuture<'static, ()> = Box::pin(strand(core.clone(), run.clone(), task));
    core.spawn(strand);
}

/// Makes this attempt and those that follow from it one after the other.
async fn strand(core: Arc<Core>, run: Arc<Run>, task: Task) {
    let mut next = Some(task);
    while let Some(mut task) = next.take() {
        if core.is_stopping() {
            // Not begun, not recorded: whoever opens the store next makes it.
            run.forgo();
            return;
        }
        let result = attempt(&core, &run, &mut task).await;
        let went_on = match run.answer(&core.services, &task, result) {
            Ok(pending) => perform(&core, &run, pending).await,
            Err(error) => Err(error),
        };
        next = match went_on {
            Ok(next) => next,
            Err(error) => return lose(&core, &run, error),
        };
        // A strand of steps that are always ready must let others have their turn.
        tokio::task::consume_budget().await;
    }
}

/// Does what a turn asks for, once it is durable. Gives back one attempt, for the caller to make itself.
async fn perform(core: &Arc<Core>, run: &Arc<Run>, mut pending: Pending) -> Result<Option<Task>> {
    let suspends = core.services.limits.suspends && pending.is_recorded();
    pending.durable().await?;
    if suspends && core.suspend(run, pending.actions()) {
        return Ok(None);
    }
    let (actions, then, outcome) = pending.into_parts();
    let mut own = None;
    for action in actions {
        match action {
            Action::AbortAll => run.abort.raise(),
            Action::Run(task) if own.is_none() => own = Some(task),
            Action::Run(task) => begin(core, run, task),
        }
    }
    match (then, outcome) {
        (Then::End(status), outcome) => {
            run.span.record("outcome", status.as_str());
            if let Some(outcome) = outcome {
                core.dismiss(run, Ok(outcome));
            }
        }
        (Then::Wait(time), _)
            if time.since(core.services.clock.now()) > core.services.limits.park_after
                && core.services.store().is_ok() =>
        {
            core.park(run);
        }
        _ => {}
    }
    Ok(own)
}

/// Does what a turn asks for, in a task of its own.
pub(super) fn carry_on(core: &Arc<Core>, run: &Arc<Run>, pending: Pending) {
    let (owner, run) = (core.clone(), run.clone());
    core.spawn(async move {
        // Whoever waits for the run is told of an error.
        let _ = go(&owner, &run, pending).await;
    });
}

/// Does what a turn asks for, and comes back when it is durable. In a task of its own: whether the caller waits makes no
/// difference to what is done.
pub(super) async fn carry_out(core: &Arc<Core>, run: &Arc<Run>, pending: Pending) -> Result<()> {
    let (done, is_done) = oneshot::channel();
    let (owner, run) = (core.clone(), run.clone());
    core.spawn(async move { drop(done.send(go(&owner, &run, pending).await)) });
    is_done.await.unwrap_or_else(|_| Err(core.gone("commit")))
}

/// Does what a turn asks for, and comes back when it is durable.
pub(super) async fn go(core: &Arc<Core>, run: &Arc<Run>, pending: Pending) -> Result<()> {
    match perform(core, run, pending).await {
        Ok(Some(task)) => begin(core, run, task),
        Ok(None) => {}
        Err(error) => {
            let told = Error::new(error.kind(), "commit").with("run", run.key.run).caused_by(error.chain().join(": "));
            lose(core, run, error);
            return Err(told);
        }
    }
    Ok(())
}

/// This engine cannot go on with a run: its memory is ahead of the store, or damaged. The store has what was recorded,
/// and whoever claims the run next goes on from there.
pub(super) fn lose(core: &Core, run: &Arc<Run>, error: Error) {
    tracing::error!(parent: &run.span, error = ?error, "the run cannot go on in this engine");
    run.abort.raise();
    core.dismiss(run, Err(Arc::new(error)));
}
