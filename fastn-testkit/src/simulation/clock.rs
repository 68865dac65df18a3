//! Time that passes when nothing else can happen.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fastn_core::{BoxFuture, Timestamp};
use fastn_runtime::Clock;

/// The calendar when a simulation begins.
const BEGINNING: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The clock of a simulated world. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub(super) struct WorldClock(Arc<Mutex<Hands>>);

#[derive(Debug, Default)]
struct Hands {
    uptime: Duration,
    /// How far the calendar was set from where it would be, in microseconds.
    set_by: i64,
    /// By when they are due, and then in the order in which they went to sleep.
    sleepers: BTreeMap<(Duration, u64), Waker>,
    slept: u64,
}

impl WorldClock {
    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass, and wakes those who slept until then.
    pub(super) fn pass(&self, span: Duration) {
        let mut hands = self.hands();
        hands.uptime = hands.uptime.saturating_add(span);
        let now = (hands.uptime, u64::MAX);
        let later = hands.sleepers.split_off(&now);
        let due = std::mem::replace(&mut hands.sleepers, later);
        drop(hands);
        due.into_values().for_each(Waker::wake);
    }

    /// Lets time pass until the first sleeper is due. False if nobody sleeps.
    pub(super) fn pass_to_next(&self) -> bool {
        let hands = self.hands();
        let Some((due, _)) = hands.sleepers.keys().next().copied() else { return false };
        let span = due.saturating_sub(hands.uptime);
        drop(hands);
        self.pass(span);
        true
    }

    /// Sets the calendar by so many seconds. No time passes.
    pub(super) fn set_by(&self, seconds: i64) {
        let mut hands = self.hands();
        hands.set_by = hands.set_by.saturating_add(seconds.saturating_mul(1_000_000));
    }
}

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        let hands = self.hands();
        let now = BEGINNING.plus(hands.uptime);
        Timestamp::from_micros(now.as_micros().saturating_add(hands.set_by))
    }

    fn uptime(&self) -> Duration {
        self.hands().uptime
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        let due = self.uptime().saturating_add(span);
        Box::pin(Sleep { clock: self.clone(), due, place: None })
    }
}

struct Sleep {
    clock: WorldClock,
    due: Duration,
    place: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut hands = clock.hands();
        if hands.uptime >= self.due {
            return Poll::Ready(());
        }
        hands.slept = hands.slept.wrapping_add(1);
        let new = hands.slept;
        let place = *self.place.get_or_insert(new);
        hands.sleepers.insert((self.due, place), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let waker = self.clock.hands().sleepers.remove(&(self.due, place));
            drop(waker);
        }
    }
}
