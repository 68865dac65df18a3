//! The tasks of an engine: each ends with it.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use fastn_core::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

/// Runs an engine's tasks. An engine brings its own, which is tokio; simulations bring theirs.
pub trait Spawner: fmt::Debug + Send + Sync + 'static {
    /// Polls a task until it completes, or drops it: then whatever waits for it learns that it is gone.
    fn spawn(&self, task: EngineTask);

    /// How many threads poll tasks at the same time, about: what tasks share is spread over so many places. With one,
    /// everything about tasks happens in an order that follows from the order of their polls.
    fn threads(&self) -> usize {
        1
    }
}

/// Spawns on a tokio runtime.
#[derive(Debug)]
pub(crate) struct TokioSpawner(pub(crate) Handle);

impl Spawner for TokioSpawner {
    fn spawn(&self, task: EngineTask) {
        drop(self.0.spawn(task));
    }

    fn threads(&self) -> usize {
        self.0.metrics().num_workers()
    }
}

/// The tasks of one engine.
pub(crate) struct Tasks {
    spawner: Arc<dyn Spawner>,
    /// Several, so that threads that begin and end tasks at the same time seldom meet.
    rooms: Box<[Room]>,
    /// Every task is to be dropped. One moment for all of them: none goes on after another was dropped.
    killed: AtomicBool,
    /// Somebody waits until there are no more.
    awaited: AtomicBool,
    /// A task has ended, and there are no more.
    none_left: Notify,
}

/// Apart from its neighbours, by what processors exchange at a time.
#[derive(Default)]
#[repr(align(128))]
struct Room(Mutex<Live>);

#[derive(Default)]
struct Live {
    tasks: Vec<Order>,
    free: Vec<u32>,
}

/// Where a task is told to end.
#[derive(Default)]
struct Order {
    /// How many tasks have had this place.
    times: u32,
    stop: bool,
    /// Whom to wake, once the task was polled.
    waker: Option<Waker>,
}

/// Which task.
#[derive(Clone, Copy)]
struct Place {
    room: u32,
    index: u32,
    times: u32,
}

impl Live {
    const fn count(&self) -> usize {
        self.tasks.len() - self.free.len()
    }

    /// What the task of a place is told, if it has not ended.
    fn order(&mut self, place: Place) -> Option<&mut Order> {
        self.tasks.get_mut(place.index as usize).filter(|order| order.times == place.times)
    }

    /// A place for another task.
    fn begin(&mut self) -> (u32, u32) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.tasks.push(Order::default());
            u32::try_from(self.tasks.len() - 1).unwrap_or(u32::MAX)
        });
        (index, self.tasks.get(index as usize).map_or(0, |order| order.times))
    }

    /// The place is free; gives what it had. To be dropped when nothing is locked, since a waker may own its task.
    fn end(&mut self, place: Place) -> Option<Order> {
        let order = self.order(place)?;
        let next = Order { times: place.times.wrapping_add(1), ..Order::default() };
        let old = std::mem::replace(order, next);
        self.free.push(place.index);
        Some(old)
    }
}

/// The room of this thread's new tasks, of so many.
fn room_of_thread(rooms: usize) -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: usize = THREADS.fetch_add(1, Ordering::Relaxed));
    if rooms <= 1 { 0 } else { MINE.with(|mine| mine % rooms) }
}

impl Tasks {
    pub(crate) fn new(spawner: Arc<dyn Spawner>) -> Self {
        let rooms = (0..spawner.threads().max(1)).map(|_| Room::default()).collect();
        let (killed, awaited) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { spawner, rooms, killed, awaited, none_left: Notify::new() }
    }

    fn room(&self, room: u32) -> Option<MutexGuard<'_, Live>> {
        self.rooms.get(room as usize).map(Room::live)
    }

    /// Starts a task, unless everything was killed.
    pub(crate) fn spawn(self: &Arc<Self>, future: BoxFuture<'static, ()>) {
        self.start(future);
    }

    /// Starts a task whose end can be awaited. It ends with whoever waits for it.
    pub(crate) fn spawn_owned<T: Send + 'static>(
        self: &Arc<Self>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Owned<T> {
        let (reply, result) = oneshot::channel();
        // Whoever no longer waits has stopped the task.
        let place = self.start(Box::pin(async move { drop(reply.send(future.await)) }));
        Owned { tasks: self.clone(), place, result }
    }

    fn start(self: &Arc<Self>, future: BoxFuture<'static, ()>) -> Option<Place> {
        let room = u32::try_from(room_of_thread(self.rooms.len())).ok()?;
        let mut live = self.room(room)?;
        // Looked at under the lock: what begins before everything is killed is seen by whoever kills.
        if self.is_killed() {
            return None;
        }
        let (index, times) = live.begin();
        drop(live);
        let place = Place { room, index, times };
        self.spawner.spawn(EngineTask { future: Some(future), tasks: self.clone(), place });
        Some(place)
    }

    /// Starts something that is not of the engine's tasks, and outlives them.
    pub(crate) fn spawn_beside(self: &Arc<Self>, future: BoxFuture<'static, ()>) {
        let beside = Arc::new(Self::new(self.spawner.clone()));
        beside.spawn(future);
    }

    /// Every task is dropped, now or when it next yields, and no more are started.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
        for room in &self.rooms {
            let wakers: Vec<_> = room.live().tasks.iter_mut().filter_map(|order| order.waker.take()).collect();
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        // All at once: a task of one room may start one in another and end.
        let rooms: Vec<_> = self.rooms.iter().map(Room::live).collect();
        rooms.iter().map(|live| live.count()).sum()
    }

    /// Completes when there are none.
    pub(crate) async fn ended(&self) {
        // Said before looking: whoever ends a task after that looks whether it was the last.
        self.awaited.store(true, Ordering::SeqCst);
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

    /// Whether a task is to go on; if so, an order to end will wake it.
    fn goes_on(&self, place: Place, cx: &Context<'_>) -> bool {
        let Some(mut live) = self.room(place.room) else { return false };
        let Some(order) = live.order(place) else { return false };
        let known = order.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        let old = if known { None } else { order.waker.replace(cx.waker().clone()) };
        let stop = order.stop;
        drop(live);
        drop(old);
        // Looked at after the waker was left: what is said later wakes.
        !stop && !self.is_killed()
    }

    fn stop(&self, place: Place) {
        let Some(mut live) = self.room(place.room) else { return };
        let Some(order) = live.order(place) else { return };
        order.stop = true;
        let waker = order.waker.take();
        drop(live);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn end(&self, place: Place) {
        let old = self.room(place.room).and_then(|mut live| live.end(place));
        drop(old);
        if self.awaited.load(Ordering::SeqCst) && self.len() == 0 {
            self.none_left.notify_waiters();
        }
    }
}

impl Room {
    fn live(&self) -> MutexGuard<'_, Live> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task of an engine, for its [`Spawner`] to poll.
#[must_use = "a task must be polled to its end"]
pub struct EngineTask {
    future: Option<BoxFuture<'static, ()>>,
    tasks: Arc<Tasks>,
    place: Place,
}

impl Future for EngineTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.tasks.goes_on(self.place, cx) {
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
        write!(f, "EngineTask({}, {})", self.place.room, self.place.index)
    }
}

/// The end of a task. Dropping it stops the task.
pub(crate) struct Owned<T> {
    tasks: Arc<Tasks>,
    place: Option<Place>,
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
        if let Some(place) = self.place {
            self.tasks.stop(place);
        }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::task::Wake;
    use std::thread;

    use super::*;

    /// Keeps tasks, for tests to poll.
    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<EngineTask>>);

    impl Spawner for Kept {
        fn spawn(&self, task: EngineTask) {
            self.0.lock().expect("nobody panics").push(task);
        }

        fn threads(&self) -> usize {
            4
        }
    }

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(task: &mut EngineTask, woken: &Arc<Woken>) -> Poll<()> {
        let waker = woken.clone().into();
        Pin::new(task).poll(&mut Context::from_waker(&waker))
    }

    /// Tasks that wait for ever, begun by as many threads.
    fn waiting(kept: &Arc<Kept>, count: usize) -> (Arc<Tasks>, Vec<EngineTask>) {
        let tasks = Arc::new(Tasks::new(kept.clone()));
        for _ in 0..count {
            let tasks = tasks.clone();
            thread::spawn(move || tasks.spawn(Box::pin(std::future::pending()))).join().expect("it starts one");
        }
        let begun = std::mem::take(&mut *kept.0.lock().expect("nobody panics"));
        (tasks, begun)
    }

    #[test]
    fn whoever_kills_reaches_the_tasks_of_all_threads() {
        let kept = Arc::new(Kept::default());
        let (tasks, mut begun) = waiting(&kept, 9);
        let rooms: std::collections::BTreeSet<_> = begun.iter().map(|task| task.place.room).collect();
        assert!(tasks.len() == 9 && rooms.len() > 1, "threads have rooms of their own");
        let woken = Arc::new(Woken::default());
        assert!(begun.iter_mut().all(|task| poll(task, &woken).is_pending()));
        tasks.kill();
        assert_eq!(woken.0.load(Ordering::SeqCst), 9, "each is woken once");
        tasks.kill();
        assert_eq!(woken.0.load(Ordering::SeqCst), 9);
        assert!(begun.iter_mut().all(|task| poll(task, &woken).is_ready()));
        begun.clear();
        tasks.spawn(Box::pin(std::future::pending()));
        assert_eq!((tasks.len(), kept.0.lock().expect("nobody panics").len()), (0, 0), "no more are started");
    }

    #[test]
    fn an_order_to_end_does_not_reach_the_next_in_the_same_place() {
        let kept = Arc::new(Kept::default());
        let tasks = Arc::new(Tasks::new(kept.clone()));
        let first = tasks.spawn_owned(std::future::pending::<()>());
        let taken = || kept.0.lock().expect("nobody panics").pop().expect("it was started");
        let before = taken();
        let place = before.place;
        drop(before);
        let second = tasks.spawn_owned(std::future::pending::<()>());
        let mut task = taken();
        assert_eq!((task.place.room, task.place.index), (place.room, place.index));
        let woken = Arc::new(Woken::default());
        first.stop();
        assert!(poll(&mut task, &woken).is_pending(), "it was meant for the one before");
        first.stop();
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
        second.stop();
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert!(poll(&mut task, &woken).is_ready());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_end_is_the_end_of_all_whatever_starts_whatever_where() {
        for round in 0..200 {
            let tasks = Arc::new(Tasks::new(Arc::new(TokioSpawner(Handle::current()))));
            let left = Arc::new(AtomicU32::new(0));
            for _ in 0..8 {
                relay(&tasks, &left, 20);
            }
            tasks.ended().await;
            assert_eq!((left.load(Ordering::SeqCst), tasks.len()), (0, 0), "round {round}");
        }
    }

    /// A task that starts another before it ends, and so on.
    fn relay(tasks: &Arc<Tasks>, left: &Arc<AtomicU32>, more: u32) {
        left.fetch_add(1, Ordering::SeqCst);
        let (next, count) = (tasks.clone(), left.clone());
        tasks.spawn(Box::pin(async move {
            tokio::task::yield_now().await;
            if more > 0 {
                relay(&next, &count, more - 1);
            }
            count.fetch_sub(1, Ordering::SeqCst);
        }));
    }
}
