//! The connection, and when none is tried.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fastn_core::{Error, ErrorKind, Result};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::counts::Gauges;
use super::line::{Dial, Line};

/// How long after a connection was lost the next one is tried, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long making one may take.
const CONNECT: Duration = Duration::from_secs(5);

/// One that lasted so long was a good one: the next is tried soon.
const STEADY: Duration = Duration::from_secs(10);

/// A connection that one task makes, and makes again when it is lost. Whoever asks finds it there or not, and never waits for
/// it to be made: the task alone tries a Redis that failed, one connection at a time.
#[derive(Debug)]
pub(super) struct Link {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    line: Mutex<Option<Arc<Line>>>,
    lost: Notify,
    gauges: Arc<Gauges>,
}

impl Link {
    /// Begins to connect, on the present runtime. `patience` is how long an answer may take.
    pub(super) fn new(dial: Dial, patience: Duration, gauges: Arc<Gauges>) -> Self {
        let shared = Arc::new(Shared { line: Mutex::default(), lost: Notify::new(), gauges });
        let keeper = tokio::spawn(keep(dial, patience, shared.clone())).abort_handle();
        Self { shared, keeper }
    }

    /// The connection, if there is one that works as far as is known.
    pub(super) fn line(&self) -> Option<Arc<Line>> {
        self.shared.line().clone()
    }

    /// This connection failed: nobody asks it any more, and those who wait for its answers are told.
    pub(super) fn lose(&self, line: &Arc<Line>, why: &Error) {
        self.shared.lose(line, why);
    }

    /// Connects no more.
    pub(super) fn stop(&self) {
        self.keeper.abort();
        self.shared.take();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn line(&self) -> std::sync::MutexGuard<'_, Option<Arc<Line>>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, line: &Arc<Line>, why: &Error) {
        line.hang_up();
        // Of all who find the same one broken, the first tells.
        if self.line().take_if(|present| Arc::ptr_eq(present, line)).is_none() {
            return;
        }
        self.gauges.connected.take_one();
        self.fail(why);
        self.lost.notify_one();
    }

    fn take(&self) {
        if let Some(line) = self.line().take() {
            line.hang_up();
            self.gauges.connected.take_one();
        }
    }

    fn fail(&self, why: &Error) {
        self.gauges.failures.add(1);
        tracing::warn!(error = why.chain().join(": "), "reads go past Redis for a while");
    }
}

/// Makes connections, one after the other, as each is lost.
async fn keep(dial: Dial, patience: Duration, shared: Arc<Shared>) {
    let mut wait = AGAIN.0;
    loop {
        let began = Instant::now();
        match connect(&dial, patience).await {
            Ok(line) => {
                let line = Arc::new(line);
                *shared.line() = Some(line.clone());
                shared.gauges.connected.add(1);
                tracing::debug!("Redis answers");
                tokio::select! {
                    biased;
                    () = shared.lost.notified() => {}
                    () = line.closed() => {
                        shared.lose(&line, &Error::new(ErrorKind::Unavailable, "ask Redis").caused_by("it hung up"));
                        // Told just now, or before by somebody else who found it.
                        shared.lost.notified().await;
                    }
                }
            }
            Err(why) => shared.fail(&why),
        }
        if began.elapsed() >= STEADY + CONNECT {
            wait = AGAIN.0;
        }
        sleep(spread(wait)).await;
        wait = (wait * 2).min(AGAIN.1);
    }
}

/// A connection that has answered once in the time that an answer may take.
async fn connect(dial: &Dial, patience: Duration) -> Result<Line> {
    let dial = dial.clone();
    // A task of its own, since what a stranger answers is parsed by a library: a panic in it must not end this one.
    let attempt = tokio::spawn(async move {
        let line = dial.connect().await?;
        line.time(patience).await?;
        Ok(line)
    });
    let abort = AbortOnDrop(attempt.abort_handle());
    let connected = timeout(CONNECT, attempt).await;
    drop(abort);
    let failed = || Error::new(ErrorKind::Unavailable, "connect to Redis");
    match connected {
        Ok(Ok(line)) => line,
        Ok(Err(why)) => Err(failed().caused_by(why.to_string())),
        Err(_) => Err(failed().caused_by("no connection in time")),
    }
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Half of it to all of it: those who lost the same Redis do not all come back at once.
fn spread(wait: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0) % 1024;
    wait / 2 + (wait / 2).mul_f64(chance as f64 / 1024.0)
}
