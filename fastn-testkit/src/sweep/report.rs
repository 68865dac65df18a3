//! What came of a sweep.

use std::collections::BTreeMap;
use std::fmt;

/// What a sweep saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// How often the process died.
    pub deaths: usize,
    /// How many store calls the longest life made before its death.
    pub calls: u64,
    /// In how many of the runs each effect took place more often than without a death.
    pub repeated: BTreeMap<String, usize>,
    /// How many runs ended differently because the outcome of an at-most-once step was unknown.
    pub unknown: usize,
}

/// Something promised was not kept. It prints what, and where the process died.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokenPromise {
    /// Where the process died, death by death; empty without a death.
    pub deaths: Vec<String>,
    /// What was found.
    pub what: String,
}

impl fmt::Display for BrokenPromise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.deaths.as_slice() {
            [] => write!(f, "without a death: {}", self.what),
            deaths => write!(f, "the process died {}: {}", deaths.join(", and again "), self.what),
        }
    }
}

impl std::error::Error for BrokenPromise {}
