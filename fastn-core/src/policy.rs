//! How a step is tried: retries, deadlines, durability.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Attempt, Failure, FailureKind, Timestamp};

/// How the wait grows from one retry to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Backoff {
    /// Always the same wait.
    Fixed(Duration),
    /// The step, twice the step, three times the step, and so on.
    Linear(Duration),
    /// The first wait, then twice as long each time.
    Exponential(Duration),
}

/// How much chance goes into a wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Jitter {
    /// The wait as computed.
    None,
    /// Anything from zero to the wait as computed, so that many that failed together do not come back together.
    #[default]
    Full,
}

/// When a failed step is tried again.
///
/// ```
/// # use std::time::Duration;
/// # use fastn_core::{Jitter, Retry};
/// let retry = Retry::exponential(Duration::from_millis(200))
///     .cap(Duration::from_secs(30))
///     .attempts(8)
///     .elapsed(Duration::from_secs(600))
///     .except("card_declined");
/// let five_more = Retry::from(5); // five retries: at most six attempts
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    backoff: Backoff,
    cap: Duration,
    jitter: Jitter,
    /// The most attempts there may be, the first included; never 0.
    #[serde(deserialize_with = "at_least_one")]
    attempts: u32,
    /// No retry begins later than this after the first attempt began.
    elapsed: Option<Duration>,
    /// Failures of these kinds are final.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    except: Vec<FailureKind>,
}

impl Retry {
    /// The longest wait unless [`Retry::cap`] says otherwise.
    const DEFAULT_CAP: Duration = Duration::from_secs(60);

    const fn with(backoff: Backoff, attempts: u32) -> Self {
        Self { backoff, cap: Self::DEFAULT_CAP, jitter: Jitter::Full, attempts, elapsed: None, except: Vec::new() }
    }

    /// No retry: the first failure is final. What a step has that says nothing.
    pub const fn none() -> Self {
        Self::with(Backoff::Fixed(Duration::ZERO), 1)
    }

    /// Retries without end, always after the same wait, without jitter.
    pub const fn fixed(wait: Duration) -> Self {
        let mut retry = Self::with(Backoff::Fixed(wait), u32::MAX);
        retry.jitter = Jitter::None;
        retry.cap = Duration::MAX;
        retry
    }

    /// Retries without end, waiting one `step` longer each time, up to 60 s, with full jitter.
    pub const fn linear(step: Duration) -> Self {
        Self::with(Backoff::Linear(step), u32::MAX)
    }

    /// Retries without end, waiting `first`, then twice as long each time, up to 60 s, with full jitter.
    pub const fn exponential(first: Duration) -> Self {
        Self::with(Backoff::Exponential(first), u32::MAX)
    }

    /// The longest wait between two attempts.
    #[must_use]
    pub const fn cap(mut self, longest: Duration) -> Self {
        self.cap = longest;
        self
    }

    /// The most attempts there may be, the first included; 0 counts as 1.
    #[must_use]
    pub const fn attempts(mut self, most: u32) -> Self {
        self.attempts = if most == 0 { 1 } else { most };
        self
    }

    /// No retry begins later than this after the first attempt began.
    #[must_use]
    pub const fn elapsed(mut self, most: Duration) -> Self {
        self.elapsed = Some(most);
        self
    }

    /// How much chance goes into the waits.
    #[must_use]
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Failures of this kind are final.
    #[must_use]
    pub fn except(mut self, kind: impl Into<FailureKind>) -> Self {
        self.except.push(kind.into());
        self
    }

    /// The most attempts there may be, the first included.
    pub const fn most_attempts(&self) -> u32 {
        self.attempts
    }

    /// When to try again after the attempt `failed` failed; `None` if that failure is final.
    ///
    /// `began` is when the first attempt began; `chance` is any random number. A wait the other side asked for
    /// ([`Failure::retry_after_ms`]) is kept, even where it is longer than the cap.
    pub fn next(
        &self,
        failed: Attempt,
        failure: &Failure,
        began: Timestamp,
        now: Timestamp,
        chance: u64,
    ) -> Option<Timestamp> {
        if failure.permanent || failed.0 >= self.attempts || self.except.contains(&failure.kind) {
            return None;
        }
        let wait = self.wait(failed, chance).max(Duration::from_millis(failure.retry_after_ms.unwrap_or(0)));
        let at = now.plus(wait);
        self.elapsed.is_none_or(|most| at <= began.plus(most)).then_some(at)
    }

    fn wait(&self, failed: Attempt, chance: u64) -> Duration {
        let full = match self.backoff {
            Backoff::Fixed(wait) => wait,
            Backoff::Linear(step) => step.saturating_mul(failed.0),
            Backoff::Exponential(first) => {
                first.saturating_mul(1_u32.checked_shl(failed.0.saturating_sub(1)).unwrap_or(u32::MAX))
            }
        }
        .min(self.cap);
        match self.jitter {
            Jitter::None => full,
            Jitter::Full => {
                let micros = u64::try_from(full.as_micros()).unwrap_or(u64::MAX);
                Duration::from_micros(((u128::from(micros) * u128::from(chance)) >> 64) as u64)
            }
        }
    }
}

/// What [`Retry::attempts`] does with a number, for one that is read.
fn at_least_one<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    u32::deserialize(from).map(|most| most.max(1))
}

impl Default for Retry {
    fn default() -> Self {
        Self::none()
    }
}

impl From<u32> for Retry {
    /// This many retries after the first attempt, waiting 100 ms, then twice as long each time up to 60 s, with full
    /// jitter.
    fn from(retries: u32) -> Self {
        Self::exponential(Duration::from_millis(100)).attempts(retries.saturating_add(1))
    }
}

/// What the journal promises about a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Durability {
    /// The result is on disk before any successor starts. After a crash in between the step runs again: at least once.
    #[default]
    Strict,
    /// Successors start at once, and the result is written with the next group. After a crash the step may run again,
    /// and so may those of its successors whose results were not written either. The run does not end before all of it
    /// is on disk.
    Relaxed,
    /// The start is on disk before the step runs. After a crash in between the step does **not** run again: its outcome
    /// is unknown. Its `on_error` function, if it has one, is told so and can find out what happened; otherwise the step holds until
    /// a person decides that it gave something, that it failed, or that it is made again. No automatic retry either.
    AtMostOnce,
}

/// Everything that was said about how a node's work is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepPolicy {
    /// When a failed attempt is tried again.
    pub retry: Retry,
    /// How long one attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Duration>,
    /// How long all attempts and the waits between them may take, from the start of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Duration>,
    /// What the journal promises.
    #[serde(default)]
    pub durability: Durability,
    /// Whether the node has an undo, and when that is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Retry>,
    /// Whether the node has a function that takes over when its work failed for good.
    #[serde(default)]
    pub on_error: bool,
}

impl StepPolicy {
    /// How an undo is retried that says nothing itself: ten retries over a few minutes, because giving up leaves the
    /// outside world inconsistent.
    pub fn default_undo() -> Retry {
        Retry::exponential(Duration::from_millis(200)).attempts(11)
    }

    /// When the work that failed is tried again; the step's own deadline is heeded too.
    pub fn retry_at(
        &self,
        failed: Attempt,
        failure: &Failure,
        began: Timestamp,
        now: Timestamp,
        chance: u64,
    ) -> Option<Timestamp> {
        if self.durability == Durability::AtMostOnce {
            return None;
        }
        let at = self.retry.next(failed, failure, began, now, chance)?;
        self.deadline.is_none_or(|most| at < began.plus(most)).then_some(at)
    }

    /// How long an attempt that begins now may take.
    pub fn time_left(&self, began: Timestamp, now: Timestamp) -> Option<Duration> {
        let of_step = self.deadline.map(|most| began.plus(most).since(now));
        match (self.within, of_step) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_millis(1_000_000);

    fn waits(retry: &Retry, chance: u64) -> Vec<Option<u128>> {
        let failure = Failure::new(FailureKind::ERROR, "no");
        let wait = |n| retry.next(Attempt(n), &failure, T0, T0, chance).map(|at| at.since(T0).as_millis());
        (1..=6).map(wait).collect()
    }

    #[test]
    fn waits_grow_as_said() {
        let ms = Duration::from_millis;
        assert_eq!(waits(&Retry::none(), 0), [None; 6]);
        assert_eq!(waits(&Retry::fixed(ms(5)).attempts(3), 0), [Some(5), Some(5), None, None, None, None]);
        let linear = Retry::linear(ms(10)).cap(ms(35)).jitter(Jitter::None);
        assert_eq!(waits(&linear, 0), [10, 20, 30, 35, 35, 35].map(Some));
        let doubling = Retry::exponential(ms(10)).cap(ms(100)).jitter(Jitter::None);
        assert_eq!(waits(&doubling, 0), [10, 20, 40, 80, 100, 100].map(Some));
        assert_eq!(waits(&Retry::exponential(ms(10)).cap(ms(100)), 0), [0; 6].map(Some));
        assert_eq!(
            waits(&Retry::exponential(ms(10)).cap(ms(100)), u64::MAX / 2 + 1),
            [5, 10, 20, 40, 50, 50].map(Some)
        );
    }

    #[test]
    fn a_number_means_that_many_retries() {
        assert_eq!(waits(&Retry::from(2), 0), [Some(0), Some(0), None, None, None, None]);
    }

    #[test]
    fn there_is_always_a_first_attempt() {
        let written = serde_json::to_string(&Retry::from(2)).expect("a policy is JSON");
        let read: Retry = serde_json::from_str(&written.replace("\"attempts\":3", "\"attempts\":0")).expect("a policy");
        assert_eq!(read.most_attempts(), 1);
    }

    #[test]
    fn some_failures_are_final() {
        let retry = Retry::fixed(Duration::ZERO).except("card_declined");
        let next = |failure: Failure| retry.next(Attempt(1), &failure, T0, T0, 0);
        assert_eq!(next(Failure::new(FailureKind::ERROR, "x")), Some(T0));
        assert_eq!(next(Failure::new(FailureKind::ERROR, "x").permanent()), None);
        assert_eq!(next(Failure::new("card_declined".into(), "x")), None);
    }

    #[test]
    fn waits_asked_for_are_kept_and_elapsed_time_ends_them() {
        let retry = Retry::fixed(Duration::from_secs(1)).elapsed(Duration::from_secs(10));
        let mut failure = Failure::new(FailureKind::ERROR, "busy");
        failure.retry_after_ms = Some(7_000);
        let at = |now| retry.next(Attempt(1), &failure, T0, now, 0);
        assert_eq!(at(T0), Some(T0.plus(Duration::from_secs(7))));
        assert_eq!(at(T0.plus(Duration::from_secs(4))), None);
    }

    #[test]
    fn huge_policies_do_not_overflow() {
        let retry = Retry::exponential(Duration::MAX).cap(Duration::MAX);
        let failure = Failure::new(FailureKind::ERROR, "x");
        assert!(retry.next(Attempt(4_000_000_000), &failure, T0, T0, u64::MAX).is_some());
    }

    #[test]
    fn an_attempt_ends_with_the_deadline_of_its_step() {
        let policy = StepPolicy {
            within: Some(Duration::from_secs(10)),
            deadline: Some(Duration::from_secs(15)),
            ..StepPolicy::default()
        };
        let left = |after| policy.time_left(T0, T0.plus(Duration::from_secs(after)));
        assert_eq!(left(0), Some(Duration::from_secs(10)));
        assert_eq!(left(12), Some(Duration::from_secs(3)));
        assert_eq!(left(20), Some(Duration::ZERO));
    }
}
