//! The tasks of an engine: each ends with it.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use fastn_core::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

/// Runs an engine's tasks. An engine brings its own, which is tokio; simulations bring theirs.
pub trait Spawner: fmt::Debug + Send + Sync + 'static {
    /// Polls a task until it completes, or drops it: then whatever waits for it learns that it is gone.
    fn spawn(&self, task: EngineTask);
}

/// Spawns on a tokio runtime.
#[derive(Debug)]
pub(crate) struct TokioSpawner(pub(crate) Handle);

impl Spawner for TokioSpawner {
    fn spawn(&self, task: EngineTask) {
        drop(self.0.spawn(task));
    }
}

/// The tasks of one engine.
pub(crate) struct Tasks {
    spawner: Arc<dyn Spawner>,
    live: Mutex<Live>,
    /// Every task is to be dropped. One moment for all of them: none goes on after another was dropped.
    killed: AtomicBool,
    /// A task has ended, and there are no more.
    none_left: Notify,
}

#[derive(Default)]
struct Live {
    tasks: Vec<Option<Arc<Stop>>>,
    free: Vec<usize>,
}

impl Live {
    const fn count(&self) -> usize {
        self.tasks.len() - self.free.len()
    }
}

/// How a task is told to end.
#[derive(Default)]
struct Stop(Mutex<Order>);

#[derive(Default)]
struct Order {
    stop: bool,
    /// Whom to wake, as long as the task is not being polled.
    waker: Option<Waker>,
}

impl Stop {
    fn order(&self) -> MutexGuard<'_, Order> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the task is to go on; if so, an order will wake it.
    fn goes_on(&self, cx: &Context<'_>) -> bool {
        let mut order = self.order();
        if !order.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            order.waker = Some(cx.waker().clone());
        }
        !order.stop
    }

    fn stop(&self) {
        let mut order = self.order();
        order.stop = true;
        let waker = order.waker.take();
        drop(order);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Tasks {
    pub(crate) fn new(spawner: Arc<dyn Spawner>) -> Self {
        Self { spawner, live: Mutex::default(), killed: AtomicBool::new(false), none_left: Notify::new() }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a task, unless everything was killed.
    pub(crate) fn spawn(self: &Arc<Self>, future: BoxFuture<'static, ()>) {
        drop(self.start(future));
    }

    /// Starts a task whose end can be awaited. It ends with whoever waits for it.
    pub(crate) fn spawn_owned<T: Send + 'static>(
        self: &Arc<Self>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Owned<T> {
        let (reply, result) = oneshot::channel();
        // Whoever no longer waits has stopped the task.
        let stop = self.start(Box::pin(async move { drop(reply.send(future.await)) }));
        Owned { stop, result }
    }

    fn start(self: &Arc<Self>, future: BoxFuture<'static, ()>) -> Option<Arc<Stop>> {
        let stop = Arc::new(Stop::default());
        let mut live = self.live();
        if self.is_killed() {
            return None;
        }
        let place = match live.free.pop() {
            Some(place) => place,
            None => {
                live.tasks.push(None);
                live.tasks.len() - 1
            }
        };
        if let Some(task) = live.tasks.get_mut(place) {
            *task = Some(stop.clone());
        }
        drop(live);
        self.spawner.spawn(EngineTask { future: Some(future), stop: stop.clone(), tasks: self.clone(), place });
        Some(stop)
    }

    /// Starts something that is not of the engine's tasks, and outlives them.
    pub(crate) fn spawn_beside(self: &Arc<Self>, future: BoxFuture<'static, ()>) {
        let beside = Arc::new(Self::new(self.spawner.clone()));
        beside.spawn(future);
    }

    /// Every task is dropped, now or when it next yields, and no more are started.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
        let live = self.live();
        let tasks: Vec<_> = live.tasks.iter().flatten().cloned().collect();
        drop(live);
        for task in tasks {
            task.stop();
        }
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.live().count()
    }

    /// Completes when there are none.
    pub(crate) async fn ended(&self) {
        loop {
            // Registered before looking, so that an end in between is not missed.
            let none_left = self.none_left.notified();
            tokio::pin!(none_left);
            none_left.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            none_left.await;
        }
    }

    fn end(&self, place: usize) {
        let mut live = self.live();
        if let Some(task) = live.tasks.get_mut(place) {
            *task = None;
        }
        live.free.push(place);
        let none_left = live.count() == 0;
        drop(live);
        if none_left {
            self.none_left.notify_waiters();
        }
    }
}

/// A task of an engine, for its [`Spawner`] to poll.
#[must_use = "a task must be polled to its end"]
pub struct EngineTask {
    future: Option<BoxFuture<'static, ()>>,
    stop: Arc<Stop>,
    tasks: Arc<Tasks>,
    place: usize,
}

impl Future for EngineTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Looked at after the waker was left: an order that comes later wakes.
        if !self.stop.goes_on(cx) || self.tasks.is_killed() {
            self.future = None;
            return Poll::Ready(());
        }
        let Some(future) = &mut self.future else { return Poll::Ready(()) };
        let poll = future.as_mut().poll(cx);
        if poll.is_ready() {
            self.future = None;
        }
        poll
    }
}

impl Drop for EngineTask {
    fn drop(&mut self) {
        // What it holds goes first: when the last task has ended, nothing of them is left.
        self.future = None;
        self.tasks.end(self.place);
    }
}

impl fmt::Debug for EngineTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EngineTask({})", self.place)
    }
}

/// The end of a task. Dropping it stops the task.
pub(crate) struct Owned<T> {
    stop: Option<Arc<Stop>>,
    result: oneshot::Receiver<T>,
}

impl<T> Future for Owned<T> {
    /// `None` if the task was dropped before its end.
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.result).poll(cx).map(Result::ok)
    }
}

impl<T> Owned<T> {
    /// Tells the task to end: it is dropped at once, or when it next yields.
    pub(crate) fn stop(&self) {
        if let Some(stop) = &self.stop {
            stop.stop();
        }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.stop();
    }
}
