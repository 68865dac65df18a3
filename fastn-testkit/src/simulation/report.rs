//! What came of simulations.

use std::fmt;

use super::episode::Played;
use super::invariant::Invariant;

/// What worlds had in them, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Simulated {
    /// How many worlds there were.
    pub worlds: u64,
    /// How many processes lived.
    pub lives: u64,
    /// How many runs there were.
    pub runs: u64,
    /// How many commits the store was asked for.
    pub commits: u64,
    /// How often a task was polled.
    pub steps: u64,
}

impl Simulated {
    pub(super) fn add(&mut self, played: &Played) {
        self.worlds += 1;
        self.lives += played.lives;
        self.runs += played.runs;
        self.commits += played.commits;
        self.steps += played.steps;
    }
}

/// One world.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct World {
    /// What happened in it, a line each, with the time since it began.
    pub trace: String,
    /// What did not hold in it.
    pub broken: Option<BrokenInvariant>,
}

/// Something that is always true was not. It prints what, in which world, and what happened there.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokenInvariant {
    /// The seed of the world: [`Simulation::seed`](super::Simulation::seed) makes it again.
    pub seed: u64,
    /// What did not hold.
    pub invariant: Invariant,
    /// What was seen.
    pub what: String,
    /// What happened until then.
    pub trace: String,
}

impl BrokenInvariant {
    /// A world went another way when it was made again.
    pub(super) fn unlike(seed: u64) -> Self {
        let what = "the same seed made another world: something in it is not the simulation's".to_owned();
        Self { seed, invariant: Invariant::GetsSomewhere, what, trace: String::new() }
    }
}

impl fmt::Display for BrokenInvariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "in the world of seed {} this does not hold: {}. {}", self.seed, self.invariant, self.what)?;
        f.write_str(&self.trace)
    }
}

impl fmt::Debug for BrokenInvariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for BrokenInvariant {}
