//! A task that makes attempts one after the other.
//!
//! When a step is done and durable, the strand goes on with the first of the steps that follow, itself; only the others
//! get strands of their own. So a chain of steps never goes through a queue.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use fastn_core::{Error, ErrorKind, Result, Timestamp};
use fastn_store::{Then, Written};

use super::attempt::{Home, attempt};
use super::core::Core;
use super::families::Want;
use super::pending::Pending;
use super::run::Run;
use crate::journal::Ticket;
use crate::machine::{Action, Task};

/// How many results a strand may be ahead of the store with, while it takes one item of an `each` after the other.
const AHEAD: usize = 16;

/// Starts a strand with this attempt.
fn begin(core: &Arc<Core>, run: &Arc<Run>, task: Task) {
    let (owner, run) = (core.clone(), run.clone());
    let tasks = run.tenure.tasks.clone();
    tasks.spawn(Box::pin(async move { strand(&owner, &run, task).await }));
}

/// Makes this attempt and those that follow from it one after the other.
pub(super) async fn strand(core: &Arc<Core>, run: &Arc<Run>, task: Task) {
    let mut next = Some(task);
    let mut unwritten = Unwritten::default();
    let home = Arc::new(Home { core: core.clone(), run: run.clone() });
    // One for all attempts: waiting costs something only where one is not done at once.
    let mut aborted = pin!(run.abort.raised());
    while let Some(mut task) = next.take() {
        if core.is_stopping() {
            // Not begun, not recorded: whoever opens the store next makes it.
            return run.forgo();
        }
        if !run.tenure.is_sure(&*core.services.clock) && !Box::pin(becomes_sure(core, run)).await {
            return run.forgo();
        }
        let Some(result) = attempt(&home, &mut task, aborted.as_mut()).await else { return run.forgo() };
        let mut pending = match run.answer(&core.services, &task, result) {
            Ok(pending) => pending,
            Err(error) => return lose(core, run, error),
        };
        match ready(core, run, &mut pending, Some(&mut unwritten)).await {
            Ok(true) => next = perform(core, run, pending),
            Ok(false) => return,
            Err(error) => return lose(core, run, error),
        }
        // A strand of steps that are always ready must let others have their turn.
        tokio::task::consume_budget().await;
    }
}

/// Waits until the lease is renewed. Not if the engine stops before.
async fn becomes_sure(core: &Core, run: &Run) -> bool {
    tracing::debug!(parent: &run.span, "no attempt begins until the lease is renewed");
    tokio::select! {
        biased;
        () = core.stopping() => false,
        () = run.tenure.sure(&*core.services.clock) => true,
    }
}

/// The turns of a strand from which nothing that it did since follows, and which are on their way to the store.
#[derive(Default)]
struct Unwritten(VecDeque<Ticket>);

impl Unwritten {
    /// One more; what to wait for if there are too many.
    fn push(&mut self, ticket: Ticket) -> Option<Ticket> {
        self.0.push_back(ticket);
        if self.0.len() > AHEAD { self.0.pop_front() } else { None }
    }

    /// Why the first of them was refused that was.
    fn failure(&self) -> Option<Error> {
        self.0.iter().find_map(Ticket::failure)
    }
}

/// Waits until what a turn asks for may be done. Not if the run has left memory instead, to be loaded again.
async fn ready(
    core: &Core,
    run: &Arc<Run>,
    pending: &mut Pending,
    mut unwritten: Option<&mut Unwritten>,
) -> Result<bool> {
    let Some(ticket) = pending.take_ticket() else { return Ok(true) };
    let suspends = core.services.limits.suspends;
    let waits_for = match unwritten.as_deref_mut() {
        Some(unwritten) if pending.is_ahead() && !suspends => unwritten.push(ticket),
        _ => Some(ticket),
    };
    if let Some(ticket) = waits_for
        && let Err(error) = durable(ticket).await
    {
        // What was refused first is the reason; what came after it is refused for the gap.
        return Err(unwritten.and_then(|unwritten| unwritten.failure()).unwrap_or(error));
    }
    Ok(!(suspends && core.suspend(run, pending.actions())))
}

async fn durable(ticket: Ticket) -> Result<()> {
    match ticket.durable().await? {
        Written::Turned => Ok(()),
        _ => Err(Error::new(ErrorKind::Internal, "commit").caused_by("the store mistook a turn")),
    }
}

/// Does what a turn asks for. Gives back one attempt, for the caller to make itself.
fn perform(core: &Arc<Core>, run: &Arc<Run>, pending: Pending) -> Option<Task> {
    let (actions, then, outcome) = pending.into_parts();
    let mut own = None;
    for action in actions {
        match action {
            Action::AbortAll => run.abort.raise(),
            Action::Run(task) if own.is_none() => own = Some(task),
            Action::Run(task) => begin(core, run, task),
            Action::Await(child) => core.await_child(&run.relative(child), run.key.run),
            Action::EndChild(child, reason) => core.families.want(Want::End(run.relative(child), reason)),
        }
    }
    match (then, outcome) {
        (Then::End(status), outcome) => {
            run.span.record("outcome", status.as_str());
            if let Some(outcome) = outcome {
                core.dismiss(run, Ok(*outcome));
            }
        }
        // What it waits for may come at any time, and a run that is told much would be read again for each.
        (Then::Wait(Timestamp::MAX), _) if core.services.store().is_ok() => {
            match run.idle_for(core.services.limits.park_after) {
                Some(until) if until > core.services.clock.now() => core.services.alarms.set(until, run.key.clone()),
                _ => core.park(run),
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
    own
}

/// Does what a turn asks for once it is durable, in a task of its own.
pub(super) fn carry_on(core: &Arc<Core>, run: &Arc<Run>, pending: Pending) {
    let (owner, run) = (core.clone(), run.clone());
    let tasks = run.tenure.tasks.clone();
    tasks.spawn(Box::pin(async move { go(&owner, &run, pending).await }));
}

/// As [`carry_on`], and comes back when the turn is durable. Whether the caller waits makes no difference to what is done.
pub(super) async fn carry_out(core: &Arc<Core>, run: &Arc<Run>, pending: Pending) -> Result<()> {
    let ticket = pending.ticket().cloned();
    carry_on(core, run, pending);
    match ticket {
        Some(ticket) => durable(ticket).await.map_err(|error| error.with("run", run.key.run)),
        None => Ok(()),
    }
}

/// Does what a turn asks for once it is durable, and goes on as a strand.
pub(super) async fn go(core: &Arc<Core>, run: &Arc<Run>, mut pending: Pending) {
    match ready(core, run, &mut pending, None).await {
        Ok(true) => {}
        Ok(false) => return,
        // Whoever waits for the run is told.
        Err(error) => return lose(core, run, error),
    }
    if let Some(task) = perform(core, run, pending) {
        strand(core, run, task).await;
    }
}

/// This engine cannot go on with a run: its memory is ahead of the store, or damaged. The store has what was recorded,
/// and whoever claims the run next goes on from there.
pub(super) fn lose(core: &Core, run: &Arc<Run>, error: Error) {
    // With its lease the engine loses all runs at once, and whoever waits for them goes on waiting.
    if is_of_lease(&error) || run.tenure.is_over() {
        return;
    }
    tracing::error!(parent: &run.span, error = ?error, "the run cannot go on in this engine");
    run.abort.raise();
    core.dismiss(run, Err(Arc::new(error)));
}

/// Whether something could not be done because the lease was lost: another has the runs, or soon will.
pub(super) fn is_of_lease(error: &Error) -> bool {
    error.kind() == ErrorKind::Fenced
}
