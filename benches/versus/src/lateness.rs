//! How late timers go off, and whether in order.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use versus_measure::{Ask, Figure, percentile};

/// How many timers come due, how far apart. They are set at the pace at which they come due, and all have been set for a
/// while when the first does.
#[derive(Debug)]
pub struct Plan {
    pub timers: usize,
    /// How many are set at a time.
    pub at_once: usize,
    pub sleep: Duration,
}

impl Plan {
    /// 100,000 within 10 s. A quick look is as fast, and sleeps for long enough that runs leave memory.
    pub fn of(ask: &Ask) -> Self {
        Self { timers: ask.pick(100_000, 10_000), at_once: 100, sleep: Duration::from_secs(ask.pick(12, 7) as u64) }
    }

    /// When to set the next.
    pub fn starts(&self) -> impl Iterator<Item = Instant> {
        let began = Instant::now();
        (0..self.timers / self.at_once).map(move |turn| began + Duration::from_millis(10) * turn as u32)
    }
}

#[derive(Debug)]
pub struct Lateness {
    began: Instant,
    timers: usize,
    sleep: Duration,
    /// When it was due and when it went off, in microseconds, in the order in which they did.
    fired: Mutex<Vec<(u64, u64)>>,
    all: Notify,
}

impl Lateness {
    pub fn new(plan: &Plan) -> Self {
        let fired = Mutex::new(Vec::with_capacity(plan.timers));
        Self { began: Instant::now(), timers: plan.timers, sleep: plan.sleep, fired, all: Notify::new() }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// When a timer that is set now is due.
    pub fn due(&self) -> u64 {
        self.now() + self.sleep.as_micros() as u64
    }

    /// A timer goes off that was due then.
    pub fn fired(&self, due: u64) {
        let mut fired = self.fired.lock().unwrap_or_else(PoisonError::into_inner);
        fired.push((due, self.now()));
        if fired.len() == self.timers {
            self.all.notify_one();
        }
    }

    /// Completes when all went off.
    pub async fn all(&self) {
        self.all.notified().await;
    }

    /// The lateness, and the disorder: by how much a timer was due before one that had gone off already.
    pub fn figures(&self) -> Vec<Figure> {
        let fired = self.fired.lock().unwrap_or_else(PoisonError::into_inner);
        let late = fired.iter().map(|(due, at)| at.saturating_sub(*due) as f64 / 1e3).collect();
        let mut latest = 0;
        let disorder = fired.iter().map(|(due, _)| {
            latest = latest.max(*due);
            (latest - due) as f64 / 1e3
        });
        let disorder = percentile(disorder.collect(), 0.99);
        vec![
            Figure::new("timers-p99", percentile(late, 0.99), "ms"),
            Figure::new("timers-disorder-p99", disorder, "ms"),
        ]
    }
}
