//! When each step of a run began.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::{Figure, median, percentile};

/// When each step of a run began. Clones are one.
#[derive(Clone, Debug)]
pub struct Marks(Arc<Mutex<Vec<Instant>>>);

impl Marks {
    /// With room for so many, so that noting one costs the same each time.
    pub fn new(room: usize) -> Self {
        Self(Arc::new(Mutex::new(Vec::with_capacity(room))))
    }

    /// A step begins now.
    pub fn note(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
    }

    /// How long each step took, to the beginning of the next, in microseconds.
    pub fn micros(&self) -> Vec<f64> {
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marks.windows(2).map(|two| two[1].duration_since(two[0]).as_secs_f64() * 1e6).collect()
    }

    /// The figures of the case `seq`.
    pub fn seq(&self) -> Vec<Figure> {
        let took = self.micros();
        let figure = |name, at| Figure::new(name, percentile(took.clone(), at), "µs");
        vec![figure("seq-p50", 0.5), figure("seq-p99", 0.99)]
    }

    /// The figures of the case `slope`: what the last thousand steps cost, as a multiple of the first thousand, in all
    /// and by their medians.
    pub fn slope(&self) -> Vec<Figure> {
        let took = self.micros();
        let some = 1000.min(took.len() / 4);
        let (first, last) = (&took[..some], &took[took.len() - some..]);
        let sum = |part: &[f64]| part.iter().sum::<f64>();
        let by_median = median(last.to_vec()) / median(first.to_vec());
        vec![Figure::new("slope", sum(last) / sum(first), "×"), Figure::new("slope-p50", by_median, "×")]
    }
}
