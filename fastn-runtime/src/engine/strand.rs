//! A task that makes attempts one after the other.
//!
//! When a step is done and durable, the strand goes on with the first of the steps that follow, itself; only the others
//! get strands of their own. So a chain of steps never goes through a queue.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use fastn_core::{BoxFuture, Error, ErrorKind, Failure, Payload, Result, Timestamp};
use fastn_store::{Then, Written};
use tokio::task::coop;

use super::attempt::{Aborted, Attempting, Home, attempt, conclude};
use super::core::Core;
use super::families::Want;
use super::pending::Pending;
use super::run::Run;
use crate::journal::{Durable, Ticket};
use crate::machine::{Action, Task};

/// How many results a strand may be ahead of the store with, while it takes one item of an `each` after the other.
const AHEAD: usize = 16;

/// Makes attempts one after the other. A future written by hand: there is one for each step under way, and what it takes
/// in memory is what a run costs.
pub(super) struct Strand {
    home: Arc<Home>,
    stage: Stage,
    unwritten: Unwritten,
    aborted: Aborted,
}

enum Stage {
    /// An attempt is to be made.
    Begin(Task),
    /// It is, once the lease is renewed; or not at all.
    Unsure(Task, BoxFuture<'static, bool>),
    /// It is being made.
    Attempting(Task, Attempting),
    /// A turn is on its way to the store. Then follows what it asks for.
    Writing(Durable, Pending),
    /// What a turn asks for is to be done.
    Perform(Pending),
    Over,
}

impl Strand {
    /// One that begins with this attempt.
    fn new(home: Arc<Home>, task: Task) -> Self {
        Self { home, stage: Stage::Begin(task), unwritten: Unwritten::default(), aborted: None }
    }

    /// One that begins with what a turn asks for, once that is durable.
    pub(super) fn after(home: Arc<Home>, mut pending: Pending) -> Self {
        let stage = match pending.take_ticket() {
            Some(ticket) => Stage::Writing(ticket.durable(), pending),
            None => Stage::Perform(pending),
        };
        Self { home, stage, unwritten: Unwritten::default(), aborted: None }
    }
}

impl Future for Strand {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { home, stage, unwritten, aborted } = &mut *self;
        loop {
            // Where it may have to wait, it waits here; then what it waited for is taken out of its place.
            let ready = match stage {
                // A strand of steps that are always ready must let others have their turn.
                Stage::Begin(_) => {
                    ready!(coop::poll_proceed(cx)).made_progress();
                    Ready::Begin
                }
                Stage::Unsure(_, sure) => Ready::Sure(ready!(sure.as_mut().poll(cx))),
                Stage::Attempting(_, attempt) => Ready::Attempt(ready!(attempt.poll(aborted, cx))),
                Stage::Writing(durable, _) => Ready::Written(turned(ready!(Pin::new(durable).poll(cx)))),
                Stage::Perform(_) => Ready::Perform,
                Stage::Over => return Poll::Ready(()),
            };
            let next = match (std::mem::replace(stage, Stage::Over), ready) {
                (Stage::Begin(task), _) => begin(home, task),
                (Stage::Unsure(task, _), Ready::Sure(true)) => Some(Stage::Begin(task)),
                (Stage::Attempting(task, attempt), Ready::Attempt(Some(result))) => {
                    // What follows must not meet what was cut off.
                    drop(attempt);
                    answer(home, &task, result, unwritten)
                }
                (Stage::Writing(_, pending), Ready::Written(Ok(()))) => suspend_or_perform(home, pending),
                // What was refused first is the reason; what came after it is refused for the gap.
                (_, Ready::Written(Err(error))) => give_up(home, unwritten.failure().unwrap_or(error)),
                (Stage::Perform(pending), _) => perform(home, pending).map(Stage::Begin),
                _ => forgo(home),
            };
            *stage = next.unwrap_or(Stage::Over);
        }
    }
}

/// What a strand has waited for.
enum Ready {
    Begin,
    Sure(bool),
    Attempt(Option<std::result::Result<Payload, Failure>>),
    Written(Result<()>),
    Perform,
}

/// Begins an attempt, if it may be.
fn begin(home: &Arc<Home>, mut task: Task) -> Option<Stage> {
    let Home { core, run } = &**home;
    if core.is_stopping() {
        return forgo(home);
    }
    if !run.tenure.is_sure(&*core.services.clock) {
        return Some(Stage::Unsure(task, Box::pin(becomes_sure(home.clone()))));
    }
    let attempting = attempt(home, &mut task);
    Some(Stage::Attempting(task, attempting))
}

/// Waits until the lease is renewed. Not if the engine stops before.
async fn becomes_sure(home: Arc<Home>) -> bool {
    let Home { core, run } = &*home;
    tracing::debug!(parent: &run.span, "no attempt begins until the lease is renewed");
    tokio::select! {
        biased;
        () = core.stopping() => false,
        () = run.tenure.sure(&*core.services.clock) => true,
    }
}

/// Not begun, or cut off, and not recorded: whoever opens the store next makes the attempt.
fn forgo(home: &Home) -> Option<Stage> {
    home.run.forgo();
    None
}

fn give_up(home: &Home, error: Error) -> Option<Stage> {
    lose(&home.core, &home.run, error);
    None
}

/// Takes the result of an attempt.
fn answer(
    home: &Home,
    task: &Task,
    result: std::result::Result<Payload, Failure>,
    unwritten: &mut Unwritten,
) -> Option<Stage> {
    let services = &home.core.services;
    let mut pending = match home.run.answer(services, task, conclude(home, task, result)) {
        Ok(pending) => pending,
        Err(error) => return give_up(home, error),
    };
    let Some(ticket) = pending.take_ticket() else { return perform(home, pending).map(Stage::Begin) };
    let needed = if pending.is_ahead() && !services.limits.suspends { unwritten.push(ticket) } else { Some(ticket) };
    match needed {
        Some(ticket) => Some(Stage::Writing(ticket.durable(), pending)),
        None => perform(home, pending).map(Stage::Begin),
    }
}

/// Goes on with what a durable turn asks for, unless the run leaves memory instead, to be loaded again.
fn suspend_or_perform(home: &Home, pending: Pending) -> Option<Stage> {
    let Home { core, run } = home;
    if core.services.limits.suspends && core.suspend(run, pending.actions()) {
        return None;
    }
    perform(home, pending).map(Stage::Begin)
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

fn turned(written: Result<Written>) -> Result<()> {
    match written? {
        Written::Turned => Ok(()),
        _ => Err(Error::new(ErrorKind::Internal, "commit").caused_by("the store mistook a turn")),
    }
}

/// Does what a turn asks for. Gives back one attempt, for the caller to make itself.
fn perform(home: &Home, pending: Pending) -> Option<Task> {
    let Home { core, run } = home;
    let (actions, then, outcome) = pending.into_parts();
    let mut own = None;
    for action in actions {
        match action {
            Action::AbortAll => run.abort.stop_all(),
            Action::Abort(attempts) => run.abort.stop(attempts),
            Action::Run(task) if own.is_none() => own = Some(task),
            Action::Run(task) => start(home, task),
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

/// Starts a strand with this attempt.
fn start(home: &Home, task: Task) {
    // Each has its own, so that their attempts count on nothing that all of them share.
    let own = Arc::new(Home { core: home.core.clone(), run: home.run.clone() });
    home.run.tenure.tasks.spawn(Box::pin(Strand::new(own, task)));
}

/// Does what a turn asks for once it is durable, in a task of its own.
pub(super) fn carry_on(core: &Arc<Core>, run: &Arc<Run>, pending: Pending) {
    let home = Arc::new(Home { core: core.clone(), run: run.clone() });
    run.tenure.tasks.spawn(Box::pin(Strand::after(home, pending)));
}

/// As [`carry_on`], and comes back when the turn is durable. Whether the caller waits makes no difference to what is done.
pub(super) async fn carry_out(core: &Arc<Core>, run: &Arc<Run>, pending: Pending) -> Result<()> {
    let ticket = pending.ticket().cloned();
    carry_on(core, run, pending);
    match ticket {
        Some(ticket) => turned(ticket.durable().await).map_err(|error| error.with("run", run.key.run)),
        None => Ok(()),
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
    run.abort.stop_all();
    core.dismiss(run, Err(Arc::new(error)));
}

/// Whether something could not be done because the lease was lost: another has the runs, or soon will.
pub(super) fn is_of_lease(error: &Error) -> bool {
    error.kind() == ErrorKind::Fenced
}
