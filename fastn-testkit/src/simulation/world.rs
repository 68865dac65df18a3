//! What everything in a simulated world shares: chance, time, tasks, the truth, and what is told of it.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastn_core::BoxFuture;
use fastn_runtime::{Clock as _, EngineTask, Spawner};

use super::clock::WorldClock;
use super::executor::{Executor, Process};
use super::invariant::{Breach, Held};
use super::truth::Truth;
use super::weather::Weather;
use crate::dice::Dice;

/// One simulated world. Clones are the same world.
#[derive(Clone)]
pub(super) struct World(Arc<Inner>);

struct Inner {
    dice: Mutex<Dice>,
    clock: WorldClock,
    executor: Executor,
    truth: Mutex<Truth>,
    weather: Weather,
    /// No more trouble is made.
    calm: AtomicBool,
    /// A process was paused: what it had to do in time may be late.
    late: AtomicBool,
    breach: Mutex<Option<Breach>>,
    /// What happened, if anybody wants to know.
    trace: Option<Mutex<String>>,
    dying: Mutex<Vec<Process>>,
    commits: AtomicU64,
}

impl World {
    pub(super) fn new(dice: Dice, weather: Weather, truth: Truth, traced: bool) -> Self {
        Self(Arc::new(Inner {
            dice: Mutex::new(dice),
            clock: WorldClock::default(),
            executor: Executor::default(),
            truth: Mutex::new(truth),
            weather,
            calm: AtomicBool::new(false),
            late: AtomicBool::new(false),
            breach: Mutex::default(),
            trace: traced.then(Mutex::default),
            dying: Mutex::default(),
            commits: AtomicU64::new(0),
        }))
    }

    pub(super) fn dice(&self) -> MutexGuard<'_, Dice> {
        self.0.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn truth(&self) -> MutexGuard<'_, Truth> {
        self.0.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clock(&self) -> &WorldClock {
        &self.0.clock
    }

    pub(super) fn executor(&self) -> &Executor {
        &self.0.executor
    }

    pub(super) fn weather(&self) -> &Weather {
        &self.0.weather
    }

    pub(super) fn is_calm(&self) -> bool {
        self.0.calm.load(Ordering::Relaxed)
    }

    /// No more trouble is made from now on.
    pub(super) fn calm_down(&self) {
        self.0.calm.store(true, Ordering::Relaxed);
    }

    /// Sets the calendar.
    pub(super) fn set_calendar(&self, seconds: i64) {
        self.truth().set_back |= seconds < 0;
        self.0.clock.set_by(seconds);
    }

    pub(super) fn was_set_back(&self) -> bool {
        self.truth().set_back
    }

    pub(super) fn is_late(&self) -> bool {
        self.0.late.load(Ordering::Relaxed)
    }

    pub(super) fn run_late(&self) {
        self.0.late.store(true, Ordering::Relaxed);
    }

    /// How many commits there were.
    pub(super) fn commits(&self) -> &AtomicU64 {
        &self.0.commits
    }

    /// Whether something happens that happens so many times in a thousand, as long as there is trouble.
    pub(super) fn strikes(&self, per_mille: u64) -> bool {
        per_mille > 0 && !self.is_calm() && self.dice().below(1_000) < per_mille
    }

    /// A process dies as soon as what is being done comes to its next point of waiting.
    pub(super) fn let_die(&self, process: Process) {
        self.0.dying.lock().unwrap_or_else(PoisonError::into_inner).push(process);
    }

    /// The processes that are to die.
    pub(super) fn dying(&self) -> Vec<Process> {
        std::mem::take(&mut *self.0.dying.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets a span of time pass for whoever waits.
    pub(super) async fn pause(&self, span: Duration) {
        self.0.clock.sleep(span).await;
    }

    /// Tells what happens, if anybody wants to know.
    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        if let Some(trace) = &self.0.trace {
            let mut trace = trace.lock().unwrap_or_else(PoisonError::into_inner);
            let time = self.0.clock.uptime();
            let _ = writeln!(trace, "{:>5}.{:06} {}", time.as_secs(), time.subsec_micros(), what());
        }
    }

    /// What happened until now.
    pub(super) fn trace(&self) -> String {
        let trace = self.0.trace.as_ref();
        trace.map(|trace| trace.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }

    /// Notes whether an invariant holds; the first breach stands.
    pub(super) fn note(&self, held: Held) {
        if let Err(breach) = held {
            self.tell(|| format!("BREACH {}: {}", breach.invariant, breach.what));
            self.0.breach.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(breach);
        }
    }

    pub(super) fn breach(&self) -> Option<Breach> {
        self.0.breach.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts a task of a process that is not of its engine.
    pub(super) fn spawn(&self, process: Process, task: impl Future<Output = ()> + Send + 'static) {
        self.0.executor.spawn(process, false, Box::pin(task));
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

/// Where the tasks of a process's engine are polled.
#[derive(Debug)]
pub(super) struct ProcessSpawner {
    pub(super) world: World,
    pub(super) process: Process,
}

impl Spawner for ProcessSpawner {
    fn spawn(&self, task: EngineTask) {
        let task: BoxFuture<'static, ()> = Box::pin(task);
        self.world.executor().spawn(self.process, true, task);
    }
}
