//! Many worlds.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use fastn_core::{Payload, Signal, Workflow};
use fastn_runtime::EngineBuilder;
use fastn_store::{MemoryStore, Store};
use serde::Serialize;

use super::episode::{Played, Recipe};
use super::report::{BrokenInvariant, Simulated, World};
use super::script::Script;

/// Runs workflows in simulated worlds, one for each seed.
///
/// A step may wait for whatever this world has: other steps, and its [`StepCx`](fastn_core::StepCx). A world has no
/// tokio runtime, so tokio's timers and sockets fail in it.
#[derive(Clone)]
#[must_use = "worlds are simulated by `run`"]
pub struct Simulation {
    recipe: Recipe,
    seeds: Range<u64>,
}

impl Simulation {
    /// Workflows of every shape, whose steps fail, hang, and take their time, as chance has it.
    pub fn new() -> Self {
        Self::with(Script::Improvised)
    }

    /// A host's own workflow. Several runs of it are started; `input` says what the one with this number is given. What it
    /// waits for it is to be [told](Simulation::tell). Loops and the starting of other runs are not known here: of a workflow
    /// that has them, every world is broken, and says so.
    pub fn of<I: Serialize + 'static, O>(
        workflow: &Workflow<I, O>,
        input: impl Fn(u64) -> I + Send + Sync + 'static,
    ) -> Self {
        Self::with(Script::own(workflow, input))
    }

    fn with(script: Script) -> Self {
        let store = Arc::new(|| Arc::new(MemoryStore::new()) as Arc<dyn Store>);
        let recipe = Recipe { script, build: Arc::new(|builder| builder), store, suspend: false };
        Self { recipe, seeds: 0..1_000 }
    }

    /// Which worlds; by default the first thousand.
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// What hosts tell the runs of their [own workflow](Simulation::of), at any time and again and again until they end;
    /// `value` says what is told with this number.
    pub fn tell<T: Serialize + 'static>(
        mut self,
        signal: Signal<T>,
        value: impl Fn(u64) -> T + Send + Sync + 'static,
    ) -> Self {
        if let Script::Own { tells, .. } = &mut self.recipe.script {
            tells.push((signal.name().to_owned(), Arc::new(move |number| Payload::encode(&value(number)).ok())));
        }
        self
    }

    /// What engines are made of besides: connectors, limits.
    pub fn engine(mut self, build: impl Fn(EngineBuilder) -> EngineBuilder + Send + Sync + 'static) -> Self {
        self.recipe.build = Arc::new(build);
        self
    }

    /// Keeps runs in stores of another kind than [`MemoryStore`]. Their futures must be ready at once.
    pub fn on(mut self, store: impl Fn() -> Arc<dyn Store> + Send + Sync + 'static) -> Self {
        self.recipe.store = Arc::new(store);
        self
    }

    /// Unloads every run after every turn; otherwise some worlds do.
    pub fn always_suspend(mut self) -> Self {
        self.recipe.suspend = true;
        self
    }

    /// Simulates the worlds.
    ///
    /// # Errors
    /// The first in which something did not hold that is always true, with its seed and all that happened in it.
    pub fn run(&self) -> Result<Simulated, Box<BrokenInvariant>> {
        let mut simulated = Simulated::default();
        for seed in self.seeds.clone() {
            let played = self.play(seed, false);
            if played.breach.is_some() {
                // Lived once more, this time with somebody who writes it down.
                let world = self.seed(seed);
                let unlike = || BrokenInvariant::unlike(seed);
                return Err(Box::new(world.broken.unwrap_or_else(unlike)));
            }
            simulated.add(&played);
        }
        Ok(simulated)
    }

    /// Simulates one world, and tells what happens in it. The same seed gives the same world, to the letter.
    pub fn seed(&self, seed: u64) -> World {
        let played = self.play(seed, true);
        let broken = played.breach.map(|breach| BrokenInvariant {
            seed,
            invariant: breach.invariant,
            what: breach.what,
            trace: played.trace.clone(),
        });
        World { trace: played.trace, broken }
    }

    /// Where no runtime is, whoever calls: a task of tokio's may poll only so much at a stretch.
    fn play(&self, seed: u64, traced: bool) -> Played {
        std::thread::scope(|scope| match scope.spawn(|| self.recipe.play(seed, traced)).join() {
            Ok(played) => played,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

impl Default for Simulation {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("seeds", &self.seeds).finish_non_exhaustive()
    }
}
