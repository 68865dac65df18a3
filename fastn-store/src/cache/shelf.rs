//! Looking for values, and keeping them without anybody waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fastn_core::Result;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::counts::Gauges;
use super::line::{Dial, Fill};
use super::link::Link;
use super::names::Names;
use super::sealed;

/// How many values, and how many bytes of them, may be on their way to Redis at a time.
const WAITING: (usize, usize) = (1024, 16 << 20);

/// The longest answer that is kept, in bytes: a longer one would delay those behind it.
const LONGEST: usize = 256 << 10;

/// How many values go there at once.
const AT_ONCE: usize = 64;

/// How much longer than an answer writing values may take: nobody waits for it.
const WRITING: u32 = 10;

/// After Redis has refused values, as when it is full, it is offered none for so long.
const REFUSED: Duration = Duration::from_secs(1);

/// The way to values.
#[derive(Debug)]
pub(super) struct Shelf {
    link: Arc<Link>,
    fills: mpsc::Sender<Fill>,
    /// Bytes of values on their way.
    waiting: Arc<AtomicUsize>,
    writer: AbortHandle,
    patience: Duration,
    gauges: Arc<Gauges>,
}

/// What was found, and what is needed to keep what was not.
pub(super) struct Looked {
    /// Answers for the keys, in their order.
    pub(super) found: Vec<Option<Vec<u8>>>,
    /// The time by Redis's clock before the store is asked for the others; `None` if Redis was not asked.
    pub(super) asked_at: Option<i64>,
}

impl Shelf {
    /// Begins to connect, on the present runtime. `patience` is how long somebody waits for an answer.
    pub(super) fn new(dial: Dial, patience: Duration, gauges: Arc<Gauges>) -> Self {
        let link = Arc::new(Link::new(dial, patience, gauges.clone()));
        let (fills, queue) = mpsc::channel(WAITING.0);
        let waiting = Arc::<AtomicUsize>::default();
        let writing = write(queue, link.clone(), waiting.clone(), patience * WRITING, gauges.clone());
        let writer = tokio::spawn(writing).abort_handle();
        Self { link, fills, waiting, writer, patience, gauges }
    }

    /// Looks for answers that are younger than this.
    pub(super) async fn look(&self, names: &Names, keys: &[String], ttl: Duration) -> Looked {
        let nothing = || keys.iter().map(|_| None).collect();
        let Some(line) = self.link.line() else { return Looked { found: nothing(), asked_at: None } };
        let (now, values) = match line.look(keys, self.patience).await {
            Ok(looked) => looked,
            Err(why) => {
                self.link.lose(&line, &why);
                return Looked { found: nothing(), asked_at: None };
            }
        };
        let opened = keys.iter().zip(values).map(|(key, value)| {
            let value = value?;
            let Some((asked_at, answer)) = sealed::open(&names.secret, key, &value) else {
                self.gauges.unreadable.add(1);
                return None;
            };
            // One from the future was kept before Redis's clock was set back: nobody knows how old it is.
            let age = now.checked_sub(asked_at).and_then(|age| u64::try_from(age).ok())?;
            (Duration::from_micros(age) < ttl).then(|| answer.to_vec())
        });
        Looked { found: opened.collect(), asked_at: Some(now) }
    }

    /// Keeps an answer that the store gave after `asked_at`, if there is room on the way; nobody waits for that.
    pub(super) fn keep(&self, names: &Names, key: String, asked_at: i64, answer: &[u8], ttl: Duration) {
        if answer.len() > LONGEST {
            return self.gauges.dropped.add(1);
        }
        let value = sealed::seal(&names.secret, &key, asked_at, answer);
        let size = value.len();
        let fits = self.waiting.fetch_add(size, Ordering::SeqCst).saturating_add(size) <= WAITING.1;
        if !fits || self.fills.try_send(Fill { key, value, keep: ttl }).is_err() {
            self.waiting.fetch_sub(size, Ordering::SeqCst);
            self.gauges.dropped.add(1);
        }
    }

    /// Ends the connection and everything on its way.
    pub(super) fn stop(&self) {
        self.writer.abort();
        self.link.stop();
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Brings values to Redis, several at a time.
async fn write(
    mut queue: mpsc::Receiver<Fill>,
    link: Arc<Link>,
    waiting: Arc<AtomicUsize>,
    most: Duration,
    gauges: Arc<Gauges>,
) {
    let (mut fills, mut refused) = (Vec::with_capacity(AT_ONCE), None::<Instant>);
    while queue.recv_many(&mut fills, AT_ONCE).await > 0 {
        let taken = match link.line() {
            Some(line) if refused.is_none_or(|at| at.elapsed() >= REFUSED) => {
                let kept: Result<usize> = line.keep(&fills, most).await;
                match kept {
                    Ok(count) => {
                        refused = (count < fills.len()).then(Instant::now);
                        count
                    }
                    Err(why) => {
                        link.lose(&line, &why);
                        0
                    }
                }
            }
            _ => 0,
        };
        gauges.kept.add(taken);
        gauges.dropped.add(fills.len().saturating_sub(taken));
        waiting.fetch_sub(fills.iter().map(|fill| fill.value.len()).sum(), Ordering::SeqCst);
        fills.clear();
    }
}
