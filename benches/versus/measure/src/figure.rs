//! What a measurement answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Fallible;

/// One figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// The case's name, with what of it the figure tells if that is several things: `seq-p99`.
    pub case: String,
    pub value: f64,
    /// `steps/s` and `jobs/s` are better when larger, everything else when smaller.
    pub unit: String,
}

impl Figure {
    pub fn new(case: impl Into<String>, value: f64, unit: &str) -> Self {
        Self { case: case.into(), value, unit: unit.to_owned() }
    }

    /// One line of JSON.
    pub fn to_line(&self) -> String {
        serde_json::json!({ "case": self.case, "value": self.value, "unit": self.unit }).to_string()
    }

    /// The inverse of [`Figure::to_line`].
    pub fn from_line(line: &str) -> Fallible<Self> {
        Ok(serde_json::from_str(line)?)
    }
}

/// So many in this time, a second.
pub fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
