//! One lease after the other: won, kept, lost.

use std::sync::Arc;
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Failure, Result};
use fastn_store::{Lease, LeaseAsk};
use tokio::sync::{mpsc, oneshot};

use super::core::Core;
use super::queues::gate;
use super::services::Durable;
use super::strand::is_of_lease;
use super::tenure::Tenure;
use super::{post, recovery};
use crate::clock::{Clock, pause};
use crate::journal::Journal;
use crate::panics::caught;
use crate::tasks::Owned;

/// How often the lease is asked for that another has: a process that dies tells nobody.
const POLL: Duration = Duration::from_millis(900);

/// How long to wait at least before it is asked for again, however much there is to hear.
const APART: Duration = Duration::from_millis(100);

/// How long a store that is away is left alone at most before it is asked again.
const FURTHEST: Duration = Duration::from_secs(5);

/// How much later than that at most, in milliseconds, so that a server that is back is not asked by everybody at once.
const SPREAD: u64 = 500;

/// How many calls that renew a lease are under way at once at most.
const MOST_CALLS: usize = 8;

/// A lease that was won, and when it was asked for, by uptime.
pub(super) struct Won {
    lease: Lease,
    asked: Duration,
}

/// Asks for a lease.
///
/// # Errors
/// [`Locked`](ErrorKind::Locked) if another has the only one.
pub(super) async fn apply(durable: &Durable, clock: &dyn Clock) -> Result<Won> {
    let asked = clock.uptime();
    let ask = LeaseAsk { executor: durable.executor.clone(), now: clock.now(), ttl: durable.lease };
    let lease = durable.store.acquire(ask).await?;
    Ok(Won { lease, asked })
}

/// Begins a tenure. `None` if the engine is stopping.
pub(super) fn begin(core: &Arc<Core>, won: Won) -> Option<Arc<Tenure>> {
    let durable = core.services.durable()?;
    let Won { lease, asked } = won;
    let clock = core.services.clock.clone();
    let journal = Journal::new(durable.store.clone(), lease.clone(), clock, durable.patience);
    let sure_until = asked.saturating_add(durable.lease);
    let tenure = Arc::new(Tenure::under(lease, journal, core.spawner.clone(), sure_until));
    core.begin(&tenure)?;
    for lane in 0..tenure.journal().map_or(0, |journal| journal.lanes()) {
        serve(core, &tenure, write(core.clone(), tenure.clone(), lane));
    }
    serve(core, &tenure, keep(core.clone(), tenure.clone(), asked));
    serve(core, &tenure, recovery::run(core.clone(), tenure.clone()));
    serve(core, &tenure, post::run(core.clone(), tenure.clone()));
    serve(core, &tenure, gate::run(core.clone(), tenure.clone()));
    Some(tenure)
}

/// Wins one lease after the other, as long as the engine lives.
pub(super) async fn run(core: Arc<Core>, first: Option<Arc<Tenure>>) {
    let Some(durable) = core.services.durable() else { return };
    let clock = &*core.services.clock;
    let (mut tenure, mut wait) = (first, Duration::ZERO);
    loop {
        if let Some(tenure) = tenure.take() {
            let began = clock.uptime();
            tenure.left().await;
            // Before anything is done again, what was under way must have ended.
            core.cleared(&tenure).await;
            if let Some(lease) = tenure.lease() {
                let_go(&core, durable, lease).await;
            }
            // Who loses one lease after the other must not wear the store out.
            let lasted = clock.uptime().saturating_sub(began) >= durable.lease;
            wait = if lasted { Duration::ZERO } else { longer(wait, durable.lease) };
            pause(clock, wait).await;
        }
        let Some(won) = win(&core).await else { return };
        tracing::info!(token = won.lease.token, "the lease was won");
        let lease = won.lease.clone();
        tenure = begin(&core, won);
        if tenure.is_none() {
            give_back(durable, &lease).await;
            return;
        }
    }
}

/// How long to wait the next time.
fn longer(wait: Duration, most: Duration) -> Duration {
    (wait * 2).clamp(APART, most.max(APART))
}

/// Lets so much time pass, and a little more by chance. Not if the engine stops before.
async fn rest(core: &Core, wait: Duration) {
    let more = Duration::from_millis(core.services.chance.next() % SPREAD);
    tokio::select! {
        biased;
        () = core.stopping() => {}
        () = pause(&*core.services.clock, wait + more.min(wait)) => {}
    }
}

/// Ends a lease that was lost or given up. If nobody has ended it yet, its runs can be claimed at once, and nobody has died
/// over them: so a store that is away is waited for.
async fn let_go(core: &Core, durable: &Durable, lease: &Lease) {
    let mut wait = Duration::ZERO;
    while !core.is_stopping() {
        match durable.store.release(lease).await {
            Ok(()) => return,
            Err(error) if error.is_transient() && durable.store.comes_back() => {
                tracing::warn!(error = ?error, "the store is away; standing by");
                wait = longer(wait, FURTHEST);
                rest(core, wait).await;
            }
            // It was lost anyway.
            Err(error) => return tracing::debug!(error = ?error, "the lease that was lost could not be ended"),
        }
    }
}

/// Asks for the lease until it is had. `None` if the engine stops before.
async fn win(core: &Arc<Core>) -> Option<Won> {
    let clock = &*core.services.clock;
    // Whether it was said that another has it, and how long a store was left alone that is away.
    let (mut said, mut wait) = (false, Duration::ZERO);
    while !core.is_stopping() {
        let (reply, answer) = oneshot::channel();
        let owner = core.clone();
        // In a task that nothing stops: a lease that nobody knows of would be kept from everybody.
        core.spawn_beside(Box::pin(async move {
            let Some(durable) = owner.services.durable() else { return };
            if let Err(Ok(won)) = reply.send(apply(durable, &*owner.services.clock).await) {
                give_back(durable, &won.lease).await;
            }
        }));
        match answer.await {
            Ok(Ok(won)) => return Some(won),
            Ok(Err(error)) if error.kind() == ErrorKind::Locked => {
                wait = Duration::ZERO;
                if !std::mem::replace(&mut said, true) {
                    tracing::info!(holder = ?error, "another has the lease; standing by");
                }
            }
            Ok(Err(error)) if error.is_transient() => {
                tracing::warn!(error = ?error, "no lease could be had; trying again");
                wait = longer(wait, FURTHEST);
                rest(core, wait).await;
                continue;
            }
            Ok(Err(error)) => {
                core.halt(&Arc::new(error));
                return None;
            }
            Err(_) => return None,
        }
        pause(clock, APART).await;
        tokio::select! {
            biased;
            () = core.stopping() => {}
            () = core.bells.lease.notified() => {}
            () = pause(clock, POLL) => {}
        }
    }
    None
}

async fn give_back(durable: &Durable, lease: &Lease) {
    if let Err(error) = durable.store.release(lease).await {
        tracing::warn!(error = ?error, "a lease that is not needed could not be ended");
    }
}

/// Commits what the runs of a tenure give, in one lane.
async fn write(core: Arc<Core>, tenure: Arc<Tenure>, lane: usize) {
    let Some(journal) = tenure.journal() else { return };
    let ended = caught(journal.run(lane)).await;
    match ended.unwrap_or_else(|panic| Err(journal.halt(Arc::new(died("commit", panic))))) {
        Ok(()) => {}
        Err(error) if is_of_lease(&error) => core.lose(&tenure, &error),
        Err(error) => core.halt(&error),
    }
}

/// Renews the lease of a tenure. A call that is not answered is waited for, and soon another is made beside it: a connection
/// may be dead without anybody having said so, for longer than the lease lasts.
async fn keep(core: Arc<Core>, tenure: Arc<Tenure>, asked: Duration) {
    let Some(durable) = core.services.durable() else { return };
    let clock = &*core.services.clock;
    let (third, soon) = (durable.lease / 3, (durable.lease / 10).min(Duration::from_secs(1)));
    let (reply, mut answers) = mpsc::unbounded_channel();
    let mut calls: Vec<(Duration, Owned<()>)> = Vec::new();
    let mut next = asked.saturating_add(third);
    loop {
        let answered = tokio::select! {
            biased;
            answered = answers.recv() => answered,
            () = pause(clock, next.saturating_sub(clock.uptime())) => None,
        };
        let Some((asked, answer)) = answered else {
            let now = clock.uptime();
            if !calls.is_empty() {
                tracing::warn!(unanswered = calls.len(), "the lease is not renewed yet; asking once more");
            }
            if calls.len() < MOST_CALLS {
                let call = renew(core.clone(), tenure.clone(), now, reply.clone());
                calls.push((now, tenure.tasks.spawn_owned(call)));
            }
            next = now.saturating_add(soon);
            continue;
        };
        match answer {
            Ok(()) => {
                // Who was asked before and has not answered is asked in vain.
                calls.retain(|(other, _)| *other > asked);
                tenure.extend(asked.saturating_add(durable.lease));
                next = asked.saturating_add(third);
            }
            Err(error) if error.is_transient() => {
                calls.retain(|(other, _)| *other != asked);
                tracing::warn!(error = ?error, "the lease could not be renewed; trying again");
                next = clock.uptime().saturating_add(soon);
            }
            Err(error) if is_of_lease(&error) => return core.lose(&tenure, &Arc::new(error)),
            Err(error) => return core.halt(&Arc::new(error)),
        }
    }
}

/// Renews the lease once, and tells what came of it.
async fn renew(
    core: Arc<Core>,
    tenure: Arc<Tenure>,
    asked: Duration,
    reply: mpsc::UnboundedSender<(Duration, Result<()>)>,
) {
    let (Some(durable), Some(lease)) = (core.services.durable(), tenure.lease()) else { return };
    let until = core.services.clock.now().plus(durable.lease);
    let answer = caught(durable.store.renew(lease, until)).await;
    // Who no longer waits is gone with the tenure.
    let _ = reply.send((asked, answer.unwrap_or_else(|panic| Err(died("renew lease", panic)))));
}

/// Starts a task of a tenure without which there is none.
fn serve(core: &Arc<Core>, tenure: &Tenure, task: impl Future<Output = ()> + Send + 'static) {
    tenure.tasks.spawn(Box::pin(or_halt(core.clone(), task)));
}

/// Starts a task without which the engine is none: if it panics, the engine halts.
pub(super) fn vital(core: &Arc<Core>, task: impl Future<Output = ()> + Send + 'static) {
    core.spawn(Box::pin(or_halt(core.clone(), task)));
}

async fn or_halt(core: Arc<Core>, task: impl Future<Output = ()> + Send) {
    if let Err(panic) = caught(task).await {
        core.halt(&Arc::new(died("run workflows", panic)));
    }
}

fn died(op: &'static str, panic: Failure) -> Error {
    Error::new(ErrorKind::Internal, op).caused_by(panic)
}
