//! Who is polled next: chance decides.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use fastn_core::BoxFuture;

use crate::dice::Dice;

/// A process of the world. What belongs to the world itself is of none, number 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Process(pub(super) u32);

impl Process {
    pub(super) const WORLD: Self = Self(0);
}

/// The order in which tasks that are ready are polled.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// Any.
    Any,
    /// Some are always preferred to others, until that changes: finds what needs one task to be held up for long.
    Preference(u64),
}

/// Polls tasks one at a time, on the thread that asks for it.
#[derive(Default)]
pub(super) struct Executor {
    tasks: Mutex<Tasks>,
    /// In the order of their numbers, so that it does not matter in which order they were woken.
    ready: Arc<Mutex<BTreeSet<u64>>>,
}

#[derive(Default)]
struct Tasks {
    slots: BTreeMap<u64, Slot>,
    last: u64,
    dead: BTreeSet<Process>,
    paused: BTreeSet<Process>,
}

struct Slot {
    process: Process,
    /// Whether it is a task of an engine.
    of_engine: bool,
    /// Taken out while it is being polled.
    future: Option<BoxFuture<'static, ()>>,
    waker: Waker,
}

struct Ready {
    task: u64,
    ready: Arc<Mutex<BTreeSet<u64>>>,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(self.task);
    }
}

impl Executor {
    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a task; one of a dead process is dropped.
    pub(super) fn spawn(&self, process: Process, of_engine: bool, future: BoxFuture<'static, ()>) {
        let mut tasks = self.tasks();
        if tasks.dead.contains(&process) {
            drop(tasks);
            return drop(future);
        }
        tasks.last += 1;
        let task = tasks.last;
        let waker = Waker::from(Arc::new(Ready { task, ready: self.ready.clone() }));
        tasks.slots.insert(task, Slot { process, of_engine, future: Some(future), waker });
        drop(tasks);
        self.ready().insert(task);
    }

    /// How many tasks of engines a process has.
    pub(super) fn engine_tasks(&self, process: Process) -> usize {
        self.tasks().slots.values().filter(|slot| slot.process == process && slot.of_engine).count()
    }

    /// Whether a process has tasks at all.
    pub(super) fn is_alive(&self, process: Process) -> bool {
        self.tasks().slots.values().any(|slot| slot.process == process)
    }

    /// Everything of a process is gone at once.
    pub(super) fn kill(&self, process: Process) {
        let mut tasks = self.tasks();
        tasks.dead.insert(process);
        let gone: Vec<u64> = tasks.slots.iter().filter(|(_, s)| s.process == process).map(|(task, _)| *task).collect();
        let gone: Vec<Slot> = gone.iter().filter_map(|task| tasks.slots.remove(task)).collect();
        drop(tasks);
        drop(gone);
    }

    pub(super) fn is_dead(&self, process: Process) -> bool {
        self.tasks().dead.contains(&process)
    }

    /// Nothing of a process goes on, or it goes on again.
    pub(super) fn pause(&self, process: Process, paused: bool) {
        let mut tasks = self.tasks();
        if paused {
            tasks.paused.insert(process);
        } else {
            tasks.paused.remove(&process);
        }
    }

    /// A task to poll next, if one is ready.
    pub(super) fn pick(&self, dice: &mut Dice, order: Order) -> Option<u64> {
        let tasks = self.tasks();
        let mut ready = self.ready();
        ready.retain(|task| tasks.slots.contains_key(task));
        let may = |task: &&u64| {
            tasks.paused.is_empty() || tasks.slots.get(task).is_some_and(|slot| !tasks.paused.contains(&slot.process))
        };
        let picked = match order {
            Order::Any => {
                let count = ready.iter().filter(may).count();
                let place = usize::try_from(dice.below(count as u64)).unwrap_or(0);
                ready.iter().filter(may).nth(place).copied()
            }
            Order::Preference(salt) => {
                ready.iter().filter(may).min_by_key(|task| Dice::new(**task ^ salt).next()).copied()
            }
        };
        if let Some(task) = &picked {
            ready.remove(task);
        }
        picked
    }

    /// Polls a task.
    ///
    /// # Errors
    /// What it said if it panicked.
    pub(super) fn poll(&self, task: u64) -> Result<(), String> {
        let taken = self.tasks().slots.get_mut(&task).and_then(|slot| Some((slot.future.take()?, slot.waker.clone())));
        let Some((mut future, waker)) = taken else { return Ok(()) };
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(&waker))));
        if let Ok(Poll::Pending) = polled {
            if let Some(slot) = self.tasks().slots.get_mut(&task) {
                slot.future = Some(future);
            }
            return Ok(());
        }
        // What it holds goes first, and while nothing here is locked: that may wake and spawn others.
        drop(future);
        let slot = self.tasks().slots.remove(&task);
        drop(slot);
        polled.map(drop).map_err(|panic| said(&*panic))
    }
}

/// What a panic said.
pub(super) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "(no text)".to_owned())
}
