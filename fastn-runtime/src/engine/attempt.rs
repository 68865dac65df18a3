//! One attempt: deadline, cancellation, panic, size.

use std::future::{pending, poll_fn, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use fastn_core::plan::{NodeIx, NodeKind};
use fastn_core::{
    Bond, BoxFuture, ChildRef, ErrorKind, Failure, FailureKind, NodePath, Part, Payload, RunId, Seed, StepCx,
    StepError, StepInfo, StepLink, Timestamp,
};
use tokio::sync::oneshot;
use tracing::Instrument;

use super::core::Core;
use super::families::{Birth, Want};
use super::run::Run;
use super::watch::RunEvent;
use crate::clock::{pause, within};
use crate::machine::{AttemptId, Task};
use crate::panics::Caught;

/// Where attempts are made. A strand has one, so that its attempts count on nothing that all strands share.
pub(super) struct Home {
    pub(super) core: Arc<Core>,
    pub(super) run: Arc<Run>,
}

/// How long an attempt that was cut off may take to be dropped before what follows begins all the same.
const LET_GO: Duration = Duration::from_millis(100);

/// Begins an attempt; takes the arguments out of the task.
pub(super) fn attempt(home: &Arc<Home>, task: &mut Task) -> Attempting {
    let run = &home.run;
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
    if span.is_disabled() {
        return make(home, task, args);
    }
    let mut attempting = span.in_scope(|| make(home, task, args));
    let home = home.clone();
    Attempting::Boxed(Box::pin(async move {
        let mut aborted = None;
        let made = poll_fn(|cx| attempting.poll(&mut aborted, cx)).instrument(span.clone());
        let result = bounded(&home, made.await?);
        span.record("outcome", result.as_ref().map_or_else(|failure| failure.kind.as_str(), |_| "succeeded"));
        Some(result)
    }))
}

/// How an attempt went, which is a failure if what it gave is too large. Those who listen are told.
pub(super) fn conclude(home: &Home, task: &Task, result: Result<Payload, Failure>) -> Result<Payload, Failure> {
    let result = bounded(home, result);
    let (run, part) = (&home.run, task.part);
    let node = || run.definition.plan().path_at(&task.at);
    run.watch.tell(|| match &result {
        Ok(_) => RunEvent::Succeeded { node: node(), part },
        Err(failure) => RunEvent::Failed { node: node(), part, failure: failure.clone() },
    });
    result
}

fn bounded(home: &Home, result: Result<Payload, Failure>) -> Result<Payload, Failure> {
    let most = home.core.services.limits.payload;
    result.and_then(|output| match output.len() {
        size if size > most => {
            let what = format!("gave {size} bytes, and {most} are allowed");
            Err(Failure::new(FailureKind::TOO_LARGE, what).permanent())
        }
        _ => Ok(output),
    })
}

fn make(home: &Arc<Home>, task: &Task, args: Vec<Payload>) -> Attempting {
    let Home { core, run } = &**home;
    let plan = run.definition.plan();
    let Some(node) = plan.get(task.at.node) else {
        let failure = Failure::new(FailureKind::INVALID, "there is no such node").permanent();
        return Attempting::Boxed(Box::pin(ready(Some(Err(failure)))));
    };
    if let (NodeKind::Run(child), Part::Work) = (&node.kind, task.part) {
        return Attempting::Boxed(Box::pin(start_child(home.clone(), task.clone(), child.clone(), args)));
    }
    let policy = &node.policy;
    let limited = policy.within.is_some() || policy.deadline.is_some();
    let time_left = limited.then(|| match task.part {
        Part::Undo | Part::Finally => policy.within,
        _ => policy.time_left(task.began, core.services.clock.now()),
    });
    let time_left = time_left.flatten();
    let link = Arc::new(Link {
        home: home.clone(),
        id: AttemptId { at: task.at.clone(), part: task.part, attempt: task.attempt },
        deadline: time_left.map(|left| core.services.clock.now().plus(left)),
        info: OnceLock::new(),
        listens: AtomicBool::new(false),
    });
    let cx = StepCx::new(link.clone());
    let (at, part) = (task.at.node, task.part);
    match time_left {
        None => {
            let future = Caught::new(|| call(home, at, part, cx, args));
            Attempting::Plain(Cancellable { future, link, grace: None })
        }
        // Called on a task of its own, so that a step that blocks its thread cannot hold up its own deadline.
        Some(left) => {
            let owner = home.clone();
            let future = async move { Caught::new(|| call(&owner, at, part, cx, args)).await };
            Attempting::Boxed(Box::pin(limit(link, left, future)))
        }
    }
}

/// An attempt under way.
pub(super) enum Attempting {
    Plain(Cancellable),
    /// All others, so that the plain ones need no room for them.
    Boxed(BoxFuture<'static, Option<Result<Payload, Failure>>>),
}

impl Attempting {
    /// `None` if the engine is being dropped: then there is no result, and nothing may be recorded.
    pub(super) fn poll(
        &mut self,
        aborted: &mut Aborted,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Payload, Failure>>> {
        match self {
            Self::Plain(attempt) => attempt.poll(aborted, cx).map(Some),
            Self::Boxed(attempt) => attempt.as_mut().poll(cx),
        }
    }
}

/// Completes when something of a run that is under way is to stop. Made by the first attempt that is not done at once, for it
/// and those that follow; once it has completed there is another.
pub(super) type Aborted = Option<BoxFuture<'static, ()>>;

/// An attempt that a cancellation cuts off: at once, or after the engine's grace if the step listens. Only if the step is
/// not done at once does anything wait for a cancellation.
pub(super) struct Cancellable {
    future: Caught<Payload>,
    link: Arc<Link>,
    grace: Option<BoxFuture<'static, ()>>,
}

impl Cancellable {
    fn poll(&mut self, aborted: &mut Aborted, cx: &mut Context<'_>) -> Poll<Result<Payload, Failure>> {
        let Self { future, link, grace } = self;
        if let Poll::Ready(result) = Pin::new(future).poll(cx) {
            return Poll::Ready(result);
        }
        if !link.can_be_cancelled() {
            return Poll::Pending;
        }
        while !link.is_stopped() {
            let news = aborted.get_or_insert_with(|| {
                let run = link.home.run.clone();
                Box::pin(async move { run.abort.news().await })
            });
            if news.as_mut().poll(cx).is_ready() {
                // Something was stopped, which may have been another attempt.
                *aborted = None;
            } else if !link.is_stopped() {
                // Looked at once more, because it may have been stopped before it listened.
                return Poll::Pending;
            }
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
    link: Arc<Link>,
    left: Duration,
    future: impl Future<Output = Result<Payload, Failure>> + Send + 'static,
) -> Option<Result<Payload, Failure>> {
    let home = link.home.clone();
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
    home: Arc<Home>,
    task: Task,
    child: ChildRef,
    args: Vec<Payload>,
) -> Option<Result<Payload, Failure>> {
    let Home { core, run } = &*home;
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
    if Seed::is(&input) {
        let what = "what another run has done is no input";
        return Some(Err(Failure::new(FailureKind::INVALID, what).permanent()));
    }
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
        Part::Work | Part::Finally => Some(&functions.work),
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
    link.home.run.abort.stopping(&link.id).await;
    grace_of(link).await;
}

fn cancelled() -> Failure {
    Failure::new(FailureKind::CANCELLED, "cancelled while it ran").permanent()
}

/// The engine's side of a running step.
struct Link {
    home: Arc<Home>,
    id: AttemptId,
    deadline: Option<Timestamp>,
    /// Made for those who look.
    info: OnceLock<Box<StepInfo>>,
    /// Whether the step waits to be told, and so is given time to end by itself.
    listens: AtomicBool,
}

impl Link {
    /// What undoes the work of a cancelled run must not be stopped by the cancellation, nor what is called in the end.
    fn can_be_cancelled(&self) -> bool {
        !matches!(self.id.part, Part::Undo | Part::Finally)
    }

    fn is_stopped(&self) -> bool {
        self.home.run.abort.stops(&self.id)
    }
}

impl StepLink for Link {
    fn info(&self) -> &StepInfo {
        self.info.get_or_init(|| {
            let run = &self.home.run;
            let plan = run.definition.plan();
            let path = NodePath::new(plan.clone(), self.id.at.clone());
            let (tenant, workflow) = (run.key.tenant.clone(), plan.name().clone());
            let mut info = StepInfo::new(tenant, run.key.run, workflow, plan.version(), path, self.id.attempt);
            info.part = self.id.part;
            info.deadline = self.deadline;
            info.fence = run.tenure.token();
            Box::new(info)
        })
    }

    fn progress(&self, data: Payload) {
        let run = &self.home.run;
        run.watch.tell(|| RunEvent::Progress { node: run.definition.plan().path_at(&self.id.at), data });
    }

    fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.since(self.home.core.services.clock.now()))
    }

    fn is_cancelled(&self) -> bool {
        (self.can_be_cancelled() && self.is_stopped()) || self.home.core.is_stopping()
    }

    fn cancelled(&self) -> BoxFuture<'static, ()> {
        self.listens.store(true, Ordering::Release);
        let (home, id, can_be_cancelled) = (self.home.clone(), self.id.clone(), self.can_be_cancelled());
        Box::pin(async move {
            tokio::select! {
                biased;
                () = home.run.abort.stopping(&id), if can_be_cancelled => {}
                () = home.core.stopping() => {}
            }
        })
    }
}
