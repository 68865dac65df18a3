//! One world from its beginning to its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fastn_core::plan::NodeKind;
use fastn_core::{Plan, Tolerance};
use fastn_runtime::Clock as _;
use fastn_store::Store;

use super::executor::Process;
use super::invariant::{Breach, Held, Invariant, hold};
use super::process::Host;
use super::script::{Build, Script};
use super::truth::Truth;
use super::weather::Weather;
use super::world::World;
use crate::dice::Dice;

/// More than any run takes when nothing goes wrong, and any lease lasts.
const LONGEST: Duration = Duration::from_secs(4 * 3_600);
/// More steps of the scheduler than any world needs.
const MOST_STEPS: u64 = 400_000;

/// How worlds are made.
#[derive(Clone)]
pub(super) struct Recipe {
    pub(super) script: Script,
    pub(super) build: Build,
    pub(super) store: Arc<dyn Fn() -> Arc<dyn Store> + Send + Sync>,
    pub(super) suspend: bool,
}

/// What came of a world.
pub(super) struct Played {
    pub(super) breach: Option<Breach>,
    pub(super) trace: String,
    pub(super) steps: u64,
    pub(super) runs: u64,
    pub(super) lives: u64,
    pub(super) commits: u64,
}

impl Recipe {
    /// Makes the world of a seed, and lets it come to its end.
    pub(super) fn play(&self, seed: u64, traced: bool) -> Played {
        let mut dice = Dice::new(seed);
        let mut weather = Weather::new(&mut dice);
        weather.suspend |= self.suspend;
        let stage = Arc::new(OnceLock::new());
        let definitions = self.script.definitions(&mut dice, &stage);
        let truth = Truth::of(definitions.iter().map(|own| own.plan().clone()).collect());
        let orders = 1 + dice.below(6);
        let world = World::new(dice, weather, truth, traced);
        let _ = stage.set(world.clone());
        world.tell(|| format!("weather: {:?}", world.weather()));
        definitions.iter().for_each(|own| world.tell(|| format!("{}", own.plan())));
        let host = Host {
            world: world.clone(),
            store: (self.store)(),
            definitions,
            start: self.script.start(),
            input: self.script.input(),
            tells: self.script.tells(),
            build: self.build.clone(),
            orders,
            over: Arc::new(AtomicBool::new(false)),
        };
        let mut episode = Episode { world: world.clone(), host, lives: 0, steps: 0, next_event: 0, last: None };
        let held = episode.play();
        world.note(held);
        episode.end();
        let runs = world.truth().runs.len() as u64;
        let (steps, lives) = (episode.steps, u64::from(episode.lives));
        let commits = world.commits().load(Ordering::Relaxed);
        Played { breach: world.breach(), trace: world.trace(), steps, runs, lives, commits }
    }
}

struct Episode {
    world: World,
    host: Host,
    lives: u32,
    steps: u64,
    /// At which step something happens to processes.
    next_event: u64,
    /// The last process, and when it began.
    last: Option<Duration>,
}

impl Episode {
    fn play(&mut self) -> Held {
        let world = self.world.clone();
        for definition in &self.host.definitions {
            understood(definition.plan())?;
        }
        let weather = world.weather().clone();
        let mut events = weather.events;
        let mut order = weather.order(&mut world.dice());
        self.begin(false);
        self.set_next_event();
        while !self.host.over.load(Ordering::Relaxed) {
            if let Some(breach) = world.breach() {
                return Err(breach);
            }
            self.steps += 1;
            hold(self.steps < MOST_STEPS, Invariant::GetsSomewhere, || self.state())?;
            let since = self.last.map(|began| world.clock().uptime().saturating_sub(began));
            hold(since.is_none_or(|since| since < LONGEST), Invariant::EveryRunEnds, || self.state())?;
            if self.last.is_none() && (self.steps >= self.next_event || !self.anybody_lives()) {
                if events == 0 {
                    self.begin_last();
                } else {
                    events -= 1;
                    self.event();
                    self.set_next_event();
                }
            }
            if world.dice().one_in(64) {
                order = weather.order(&mut world.dice());
            }
            let picked = world.executor().pick(&mut world.dice(), order);
            match picked {
                Some(task) => {
                    let polled = world.executor().poll(task);
                    polled.map_err(|what| Breach { invariant: Invariant::NoPanic, what })?;
                    let tick = world.dice().below(40);
                    world.clock().pass(Duration::from_micros(tick));
                }
                None => {
                    let passed = world.clock().pass_to_next();
                    // Where nobody lives any more, somebody begins.
                    hold(passed || self.last.is_none(), Invariant::EveryRunEnds, || {
                        format!("nobody can go on; {}", self.state())
                    })?;
                }
            }
            for process in world.dying() {
                world.tell(|| format!("{process:?} dies"));
                world.executor().kill(process);
            }
        }
        let keys: Vec<_> = world.truth().runs.keys().cloned().collect();
        for key in keys {
            let found = at_once(self.host.store.read(&key));
            let truth = world.truth();
            if let Some(Ok(found)) = found {
                truth.verify(&key, found.as_ref())?;
            }
            truth.has_ended(&key)?;
        }
        Ok(())
    }

    fn begin(&mut self, last: bool) -> Process {
        self.lives += 1;
        let process = Process(self.lives);
        self.host.begin(process, last);
        process
    }

    /// From now on nothing goes wrong, and everything must come to its end.
    fn begin_last(&mut self) {
        self.world.tell(|| "all is calm".to_owned());
        self.world.calm_down();
        (1..=self.lives).for_each(|number| self.world.executor().pause(Process(number), false));
        // A run that could not be written is left to people, and they begin another process in the place of its holder.
        let sufferers = self.world.truth().refusals.sufferers();
        for process in sufferers {
            self.world.tell(|| format!("{process:?} is ended by people"));
            self.world.executor().kill(process);
        }
        self.last = Some(self.world.clock().uptime());
        self.begin(true);
    }

    fn living(&self) -> Vec<Process> {
        (1..=self.lives).map(Process).filter(|process| self.world.executor().is_alive(*process)).collect()
    }

    fn anybody_lives(&self) -> bool {
        // Asked at every step, so the latest is asked first.
        (1..=self.lives).rev().any(|number| self.world.executor().is_alive(Process(number)))
    }

    fn set_next_event(&mut self) {
        let gap = self.world.weather().gap;
        self.next_event = self.steps + 1 + self.world.dice().below(gap);
    }

    /// Something happens from outside.
    fn event(&mut self) {
        let (world, living) = (self.world.clone(), self.living());
        let place = usize::try_from(world.dice().below(living.len() as u64)).unwrap_or(0);
        let (process, kind) = (living.get(place).copied(), world.dice().below(6));
        match (kind, process) {
            (_, None) => drop(self.begin(false)),
            (0 | 1, Some(process)) => {
                world.tell(|| format!("{process:?} is killed"));
                world.executor().kill(process);
            }
            (2, Some(process)) if world.weather().pauses => {
                let span = Duration::from_secs(1 + world.dice().below(90));
                world.tell(|| format!("{process:?} is paused for {span:?}"));
                world.run_late();
                world.executor().pause(process, true);
                // Somebody who takes over what it had.
                if living.len() < 3 && world.dice().one_in(2) {
                    self.begin(false);
                }
                let resumer = world.clone();
                world.spawn(Process::WORLD, async move {
                    resumer.pause(span).await;
                    resumer.tell(|| format!("{process:?} goes on"));
                    resumer.executor().pause(process, false);
                });
            }
            (3, _) if world.weather().calendar => {
                let seconds = i64::try_from(world.dice().below(1_200)).unwrap_or(0) - 600;
                world.tell(|| format!("the calendar is set by {seconds} s"));
                world.set_calendar(seconds);
            }
            (4 | 5, _) if living.len() < 3 => drop(self.begin(false)),
            _ => {}
        }
    }

    /// How the world stands, for people.
    fn state(&self) -> String {
        let truth = self.world.truth();
        let open = truth.runs.iter().filter(|(_, run)| run.facts.over.is_none());
        let open = open.map(|(key, run)| {
            let calls = run.calls.0.iter().filter(|call| call.end.is_none());
            let calls: Vec<_> = calls.map(|call| run.plan.path_at(&call.at)).collect();
            let (held, last) = (run.holder, run.records.last());
            format!("run {} is {} held by {held:?}, last {last:?}, in work {calls:?}", key.run, run.status)
        });
        let open: Vec<_> = open.collect();
        let living: Vec<_> =
            (1..=self.lives).map(Process).filter(|process| self.world.executor().is_alive(*process)).collect();
        format!("after {} steps: {}; alive: {living:?}", self.steps, open.join("; "))
    }

    /// Everything is gone: what is left would keep the world in memory.
    fn end(&self) {
        (0..=self.lives).for_each(|number| self.world.executor().kill(Process(number)));
    }
}

/// Whether it is known what may be recorded of a plan's runs.
fn understood(plan: &Plan) -> Held {
    let strange = plan.nodes().iter().find(|node| is_strange(&node.kind));
    hold(strange.is_none(), Invariant::RecordsFollowThePlan, || {
        let name = strange.map(|node| node.name.to_string()).unwrap_or_default();
        format!(
            "what may be recorded of {name} is not known here: it starts another run, is a loop, or contains failure"
        )
    })
}

fn is_strange(kind: &NodeKind) -> bool {
    match kind {
        NodeKind::Run(_) | NodeKind::Repeat { .. } | NodeKind::Try(_) | NodeKind::Race { .. } | NodeKind::Fail(_) => {
            true
        }
        NodeKind::Each { tolerance, .. } => *tolerance != Tolerance::None,
        _ => false,
    }
}

/// What a future gives that is ready at once.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
