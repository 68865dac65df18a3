//! One attempt: deadline, cancellation, panic, size.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastn_core::plan::NodeKind;
use fastn_core::{BoxFuture, Failure, FailureKind, Part, Payload, StepCx, StepError, StepInfo, StepLink, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::core::Core;
use super::run::Run;
use super::watch::{RunEvent, Watch};
use crate::clock::Clock;
use crate::machine::Task;
use crate::panics::{Caught, failure_of};

pub(super) async fn attempt(core: &Arc<Core>, run: &Arc<Run>, task: &Task) -> Result<Payload, Failure> {
    let plan = run.definition.plan();
    let node = plan.path_at(&task.at);
    let span = tracing::info_span!(
        parent: &run.span,
        "step",
        tenant = %run.key.tenant,
        run = %run.key.run,
        workflow = %plan.name(),
        node,
        part = task.part.as_str(),
        attempt = task.attempt.0,
        outcome = tracing::field::Empty,
    );
    run.watch.tell(|| RunEvent::Started { node: node.clone(), part: task.part, attempt: task.attempt });
    let result = make(core, run, task, node.clone()).instrument(span.clone()).await;
    let result = result.and_then(|output| match output.len() {
        size if size > core.services.limits.payload => {
            let what = format!("gave {size} bytes, and {} are allowed", core.services.limits.payload);
            Err(Failure::new(FailureKind::TOO_LARGE, what).permanent())
        }
        _ => Ok(output),
    });
    match &result {
        Ok(_) => {
            span.record("outcome", "succeeded");
            run.watch.tell(|| RunEvent::Succeeded { node, part: task.part });
        }
        Err(failure) => {
            span.record("outcome", failure.kind.as_str());
            run.watch.tell(|| RunEvent::Failed { node, part: task.part, failure: failure.clone() });
        }
    }
    result
}

async fn make(core: &Arc<Core>, run: &Arc<Run>, task: &Task, node: String) -> Result<Payload, Failure> {
    let plan = run.definition.plan();
    let Some(policy) = plan.get(task.at.node).map(|node| &node.policy) else {
        return Err(Failure::new(FailureKind::INVALID, "there is no such node").permanent());
    };
    let now = core.services.clock.now();
    let time_left = if task.part == Part::Undo { policy.within } else { policy.time_left(task.began, now) };
    let deadline = time_left.map(|left| now.plus(left));

    let mut info =
        StepInfo::new(run.key.tenant.clone(), run.key.run, plan.name().clone(), plan.version(), node, task.attempt);
    info.part = task.part;
    info.deadline = deadline;
    // What undoes the work of a cancelled run must not be stopped by the cancellation.
    let abort = if task.part == Part::Undo { CancellationToken::new() } else { run.abort.clone() };
    let link = Arc::new(Link {
        node: info.node.clone(),
        watch: run.watch.clone(),
        abort,
        stopping: core.stopping().clone(),
        listens: AtomicBool::new(false),
    });
    let future = Caught::new(call(core, run, task, StepCx::new(info, link.clone())));
    match deadline {
        None => tokio::select! {
            biased;
            result = future => result,
            () = cut_off(core, &link) => Err(cancelled()),
        },
        // On a task of its own, so that a step that blocks its thread cannot hold up its own deadline.
        Some(deadline) => {
            let mut attempt = core.spawn_attempt(future.instrument(tracing::Span::current()));
            let result = tokio::select! {
                biased;
                result = &mut attempt => Some(result.unwrap_or_else(|stopped| match stopped.try_into_panic() {
                    Ok(panic) => Err(failure_of(&*panic)),
                    Err(_) => Err(cancelled()),
                })),
                () = reached(&*core.services.clock, deadline) => None,
                () = cut_off(core, &link) => Some(Err(cancelled())),
            };
            attempt.abort();
            result.unwrap_or_else(|| {
                let took = format!("took longer than {:?}", deadline.since(now));
                Err(Failure::new(FailureKind::TIMEOUT, took))
            })
        }
    }
}

/// Calls the function that the task is for.
fn call(core: &Arc<Core>, run: &Arc<Run>, task: &Task, cx: StepCx) -> BoxFuture<'static, Result<Payload, StepError>> {
    let (core, run, task) = (core.clone(), run.clone(), task.clone());
    // Inside the future, so that a panic before the first await point is caught as well.
    Box::pin(async move {
        let missing = || {
            let what = format!("node {} has no function for {}", cx.info().node, task.part.as_str());
            StepError::permanent(what).of_kind(FailureKind::INVALID)
        };
        let node = run.definition.plan().get(task.at.node).ok_or_else(missing)?;
        if let (NodeKind::Call(action), Part::Work) = (&node.kind, task.part) {
            let input = task.args.into_iter().next().unwrap_or_else(Payload::null);
            return core.registry.execute(action, input, cx).await;
        }
        let functions = node.work.and_then(|work| run.definition.functions(work)).ok_or_else(missing)?;
        let function = match task.part {
            Part::Work => Some(&functions.work),
            Part::OnError => functions.on_error.as_ref(),
            _ => functions.undo.as_ref(),
        };
        function.ok_or_else(missing)?.call(cx, task.args).await
    })
}

/// Completes when a cancelled attempt is to be dropped: at once, or after the engine's grace if the step listens.
async fn cut_off(core: &Core, link: &Link) {
    link.abort.cancelled().await;
    if link.listens.load(Ordering::Acquire) {
        reached(&*core.services.clock, core.services.clock.now().plus(core.services.limits.grace)).await;
    }
}

async fn reached(clock: &dyn Clock, time: Timestamp) {
    if time == Timestamp::MAX {
        return pending().await;
    }
    while clock.now() < time {
        clock.sleep_until(time.max(clock.now().plus(Duration::from_micros(1)))).await;
    }
}

fn cancelled() -> Failure {
    Failure::new(FailureKind::CANCELLED, "cancelled while it ran").permanent()
}

/// The engine's side of a running step.
struct Link {
    node: String,
    watch: Arc<Watch>,
    abort: CancellationToken,
    stopping: CancellationToken,
    /// Whether the step waits to be told, and so is given time to end by itself.
    listens: AtomicBool,
}

impl StepLink for Link {
    fn progress(&self, data: Payload) {
        self.watch.tell(|| RunEvent::Progress { node: self.node.clone(), data });
    }

    fn is_cancelled(&self) -> bool {
        self.abort.is_cancelled() || self.stopping.is_cancelled()
    }

    fn cancelled(&self) -> BoxFuture<'static, ()> {
        self.listens.store(true, Ordering::Release);
        let (abort, stopping) = (self.abort.clone(), self.stopping.clone());
        Box::pin(async move {
            tokio::select! {
                () = abort.cancelled() => {}
                () = stopping.cancelled() => {}
            }
        })
    }
}
