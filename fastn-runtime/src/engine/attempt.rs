//! One attempt: deadline, cancellation, panic, size.

use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use fastn_core::plan::{NodeIx, NodeKind};
use fastn_core::{
    Address, Attempt, Bond, BoxFuture, ChildRef, ErrorKind, Failure, FailureKind, NodePath, Part, Payload, RunId,
    StepCx, StepError, StepInfo, StepLink, Timestamp,
};
use tokio::sync::oneshot;
use tracing::Instrument;

use super::core::Core;
use super::families::{Birth, Want};
use super::run::Run;
use super::watch::RunEvent;
use crate::clock::{pause, within};
use crate::machine::Task;
use crate::panics::Caught;

/// Where attempts are made. A strand has one, so that its attempts count on nothing that all strands share.
pub(super) struct Home {
    pub(super) core: Arc<Core>,
    pub(super) run: Arc<Run>,
}

/// How long an attempt that was cut off may take to be dropped before what follows begins all the same.
const LET_GO: Duration = Duration::from_millis(100);

/// Makes an attempt; takes the arguments out of the task.
///
/// `aborted` completes when the run's work under way is to stop; once that is so it is not polled again. `None` if the
/// engine is being dropped: then there is no result, and nothing may be recorded.
pub(super) async fn attempt(
    home: &Arc<Home>,
    task: &mut Task,
    aborted: Aborted<'_>,
) -> Option<Result<Payload, Failure>> {
    let Home { core, run } = &**home;
    let plan = run.definition.plan();
    // Written out only for those who look.
    let path = || plan.path_at(&task.at);
    let (part, number) = (task.part, task.attempt);
    let span = tracing::info_span!(
        parent: &run.span,
        "step",
        tenant = %run.key.tenant,
        run = %run.key.run,
        workflow = %plan.name(),
        node = path(),
        part = part.as_str(),
        attempt = number.0,
        outcome = tracing::field::Empty,
    );
    run.watch.tell(|| RunEvent::Started { node: path(), part, attempt: number });
    let args = std::mem::take(&mut task.args);
    // A span that nobody listens to is not worth entering at every poll.
    let result = if span.is_disabled() {
        make(home, task, args, aborted).await
    } else {
        Box::pin(make(home, task, args, aborted).instrument(span.clone())).await
    };
    let result = result?.and_then(|output| match output.len() {
        size if size > core.services.limits.payload => {
            let what = format!("gave {size} bytes, and {} are allowed", core.services.limits.payload);
            Err(Failure::new(FailureKind::TOO_LARGE, what).permanent())
        }
        _ => Ok(output),
    });
    match &result {
        Ok(_) => {
            span.record("outcome", "succeeded");
            run.watch.tell(|| RunEvent::Succeeded { node: plan.path_at(&task.at), part });
        }
        Err(failure) => {
            span.record("outcome", failure.kind.as_str());
            run.watch.tell(|| RunEvent::Failed { node: plan.path_at(&task.at), part, failure: failure.clone() });
        }
    }
    Some(result)
}

async fn make(
    home: &Arc<Home>,
    task: &Task,
    args: Vec<Payload>,
    aborted: Aborted<'_>,
) -> Option<Result<Payload, Failure>> {
    let Home { core, run } = &**home;
    let plan = run.definition.plan();
    let Some(node) = plan.get(task.at.node) else {
        return Some(Err(Failure::new(FailureKind::INVALID, "there is no such node").permanent()));
    };
    if let (NodeKind::Run(child), Part::Work) = (&node.kind, task.part) {
        return start_child(home, task, child, args).await;
    }
    let policy = &node.policy;
    let limited = policy.within.is_some() || policy.deadline.is_some();
    let time_left = limited.then(|| match task.part {
        Part::Undo => policy.within,
        _ => policy.time_left(task.began, core.services.clock.now()),
    });
    let time_left = time_left.flatten();
    let link = Arc::new(Link {
        home: home.clone(),
        at: task.at.clone(),
        part: task.part,
        attempt: task.attempt,
        deadline: time_left.map(|left| core.services.clock.now().plus(left)),
        info: OnceLock::new(),
        listens: AtomicBool::new(false),
    });
    let cx = StepCx::new(link.clone());
    let (at, part) = (task.at.node, task.part);
    match time_left {
        None => {
            let future = Caught::new(|| call(home, at, part, cx, args));
            Some(Cancellable { future, link, aborted, grace: None }.await)
        }
        // Boxed, so that the others need no room for it. Called on a task of its own, so that a step that blocks its thread
        // cannot hold up its own deadline.
        Some(left) => {
            let owner = home.clone();
            let future = async move { Caught::new(|| call(&owner, at, part, cx, args)).await };
            Box::pin(limit(home, link, left, future)).await
        }
    }
}

/// Completes when the work of a run that is under way is to stop.
pub(super) type Aborted<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send)>;

/// An attempt that a cancellation cuts off: at once, or after the engine's grace if the step listens. Only if the step is
/// not done at once does anything wait for a cancellation.
struct Cancellable<'a> {
    future: Caught<Payload>,
    link: Arc<Link>,
    aborted: Aborted<'a>,
    grace: Option<BoxFuture<'static, ()>>,
}

impl Future for Cancellable<'_> {
    type Output = Result<Payload, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { future, link, aborted, grace } = &mut *self;
        if let Poll::Ready(result) = Pin::new(future).poll(cx) {
            return Poll::Ready(result);
        }
        if !link.can_be_cancelled() || (!link.home.run.abort.is_raised() && aborted.as_mut().poll(cx).is_pending()) {
            return Poll::Pending;
        }
        let grace = grace.get_or_insert_with(|| Box::pin(grace_of(link.clone())));
        grace.as_mut().poll(cx).map(|()| Err(cancelled()))
    }
}

/// How long an attempt goes on that was cancelled.
async fn grace_of(link: Arc<Link>) {
    if link.listens.load(Ordering::Acquire) {
        let services = &link.home.core.services;
        pause(&*services.clock, services.limits.grace).await;
    }
}

/// An attempt that may take this long, on a task of its own.
async fn limit(
    home: &Home,
    link: Arc<Link>,
    left: Duration,
    future: impl Future<Output = Result<Payload, Failure>> + Send + 'static,
) -> Option<Result<Payload, Failure>> {
    let clock = &*home.core.services.clock;
    let mut attempt = home.run.tenure.tasks.spawn_owned(future.instrument(tracing::Span::current()));
    let failure = tokio::select! {
        biased;
        // A task that was dropped gave no result: everything is being dropped.
        result = &mut attempt => return result,
        () = pause(clock, left) => Failure::new(FailureKind::TIMEOUT, format!("took longer than {left:?}")),
        () = cut_off(link) => cancelled(),
    };
    // What follows must not meet it, unless it blocks its thread.
    attempt.stop();
    let _ = within(clock, LET_GO, attempt).await;
    Some(Err(failure))
}

/// Starts the run that the attempt is for, and gives its id. Neither a cancellation nor a time limit cuts that off: whether it
/// was started must be known, so that it can be ended.
async fn start_child(
    home: &Home,
    task: &Task,
    child: &ChildRef,
    args: Vec<Payload>,
) -> Option<Result<Payload, Failure>> {
    let Home { core, run } = home;
    let served = core.definitions.keys().filter(|key| child.is_of(&key.workflow, key.version));
    let Some(definition) = served.max_by_key(|key| key.version).cloned() else {
        let what = format!("this engine does not serve {child}");
        return Some(Err(Failure::new(FailureKind::INVALID, what).permanent()));
    };
    // One for all times that this attempt is made. No name has a NUL, so no two look alike.
    let path = run.definition.plan().path_at(&task.at);
    let id = RunId::named(&format!("child\0{}\0{path}\0{}", run.key.run, task.attempt));
    let key = run.relative(id);
    let watch = core.watch(&key);
    // Where nothing is kept, it may have ended and be forgotten before it is known to be awaited.
    let held = child.bond != Bond::Detach && core.services.durable().is_none();
    if held {
        core.families.hold(&key, &watch);
    }
    let input = args.into_iter().next().unwrap_or_else(Payload::null);
    let (reply, answer) = oneshot::channel();
    core.families.want(Want::Start(Birth { key: key.clone(), definition, input, reply }));
    let started = answer.await;
    if held && !matches!(started, Ok(Ok(()))) {
        core.families.release(&key);
    }
    drop(watch);
    core.unwatch(&key);
    match started {
        Ok(Ok(())) => {
            let written = Payload::encode(&id);
            Some(written.map_err(|e| Failure::new(FailureKind::INVALID, e.to_string()).permanent()))
        }
        // The engine ends, or has lost its lease: whoever has the run next starts it.
        Ok(Err(error)) if error.is_transient() || matches!(error.kind(), ErrorKind::Closed | ErrorKind::Fenced) => None,
        Err(_) => None,
        Ok(Err(error)) => {
            let mut failure = Failure::new(FailureKind::ERROR, format!("{child} could not be started")).permanent();
            failure.chain = error.chain();
            Some(Err(failure))
        }
    }
}

/// Calls the function that the attempt is for.
fn call(
    home: &Home,
    at: NodeIx,
    part: Part,
    cx: StepCx,
    args: Vec<Payload>,
) -> BoxFuture<'static, Result<Payload, StepError>> {
    let Home { core, run } = home;
    let missing = |what: String| -> BoxFuture<'static, Result<Payload, StepError>> {
        Box::pin(ready(Err(StepError::permanent(what).of_kind(FailureKind::INVALID))))
    };
    let Some(node) = run.definition.plan().get(at) else { return missing("there is no such node".to_owned()) };
    if let (NodeKind::Call(action), Part::Work) = (&node.kind, part) {
        let (core, action) = (core.clone(), action.clone());
        let input = args.into_iter().next().unwrap_or_else(Payload::null);
        return Box::pin(async move { core.registry.execute(&action, input, cx).await });
    }
    let functions = node.work.and_then(|work| run.definition.functions(work));
    let function = functions.and_then(|functions| match part {
        Part::Work => Some(&functions.work),
        Part::OnError => functions.on_error.as_ref(),
        _ => functions.undo.as_ref(),
    });
    match function {
        Some(function) => function.call(cx, args),
        None => missing(format!("node {} has no function for {}", cx.info().node, part.as_str())),
    }
}

/// Completes when a cancelled attempt is to be dropped: at once, or after the engine's grace if the step listens.
async fn cut_off(link: Arc<Link>) {
    if !link.can_be_cancelled() {
        return pending().await;
    }
    link.home.run.abort.raised().await;
    grace_of(link).await;
}

fn cancelled() -> Failure {
    Failure::new(FailureKind::CANCELLED, "cancelled while it ran").permanent()
}

/// The engine's side of a running step.
struct Link {
    home: Arc<Home>,
    at: Address,
    part: Part,
    attempt: Attempt,
    deadline: Option<Timestamp>,
    /// Made for those who look.
    info: OnceLock<StepInfo>,
    /// Whether the step waits to be told, and so is given time to end by itself.
    listens: AtomicBool,
}

impl Link {
    /// What undoes the work of a cancelled run must not be stopped by the cancellation.
    fn can_be_cancelled(&self) -> bool {
        self.part != Part::Undo
    }
}

impl StepLink for Link {
    fn info(&self) -> &StepInfo {
        self.info.get_or_init(|| {
            let run = &self.home.run;
            let plan = run.definition.plan();
            let path = NodePath::new(plan.clone(), self.at.clone());
            let (tenant, workflow) = (run.key.tenant.clone(), plan.name().clone());
            let mut info = StepInfo::new(tenant, run.key.run, workflow, plan.version(), path, self.attempt);
            info.part = self.part;
            info.deadline = self.deadline;
            info.fence = run.tenure.token();
            info
        })
    }

    fn progress(&self, data: Payload) {
        let run = &self.home.run;
        run.watch.tell(|| RunEvent::Progress { node: run.definition.plan().path_at(&self.at), data });
    }

    fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.since(self.home.core.services.clock.now()))
    }

    fn is_cancelled(&self) -> bool {
        (self.can_be_cancelled() && self.home.run.abort.is_raised()) || self.home.core.is_stopping()
    }

    fn cancelled(&self) -> BoxFuture<'static, ()> {
        self.listens.store(true, Ordering::Release);
        let (home, can_be_cancelled) = (self.home.clone(), self.can_be_cancelled());
        Box::pin(async move {
            tokio::select! {
                biased;
                () = home.run.abort.raised(), if can_be_cancelled => {}
                () = home.core.stopping() => {}
            }
        })
    }
}
