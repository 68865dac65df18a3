//! Who asks first: so that not every executor does for everything that happens.
//!
//! Whoever did something asks at once, and so does everybody who has found something the last time. Who came too late for what
//! others have done comes later the next time, by chance, so that one comes first whatever becomes of the others, and what it
//! takes need not be asked for by the rest.

use std::time::Duration;

/// How late at most who came too late once, in microseconds. It doubles each time.
const FIRST: u64 = 20_000;

/// How often it doubles.
const MOST: u32 = 5;

/// How long nothing has to happen for it to come half as late.
const CALM: Duration = Duration::from_millis(250);

/// How late an executor comes to what others have done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    late: u32,
    /// When it has looked last, by uptime.
    at: Duration,
}

impl Spread {
    /// How long to leave to others what is heard of now, by chance.
    pub(super) fn delay(&self, now: Duration, chance: impl FnOnce() -> u64) -> Duration {
        match self.late_by(now).checked_sub(1) {
            None => Duration::ZERO,
            Some(times) => Duration::from_micros(chance() % (FIRST << times)),
        }
    }

    /// It has looked for what others have done: whether there was something for it.
    pub(super) fn looked(&mut self, now: Duration, found: bool) {
        self.late = if found { 0 } else { self.late_by(now).saturating_add(1).min(MOST + 1) };
        self.at = now;
    }

    fn late_by(&self, now: Duration) -> u32 {
        let calm = now.saturating_sub(self.at).as_millis() / CALM.as_millis();
        // Who is not the first is never again, unless it finds something: those who are want to have looked before it.
        let least = self.late.min(1);
        self.late.saturating_sub(u32::try_from(calm).unwrap_or(u32::MAX)).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn most(spread: &Spread, now: Duration) -> u128 {
        (0..640_000).map(|n| spread.delay(now, || n).as_micros()).max().unwrap()
    }

    #[test]
    fn who_comes_too_late_again_and_again_comes_ever_later_until_it_finds_something() {
        let mut spread = Spread::default();
        let mut all = Vec::new();
        for _ in 0..9 {
            all.push(most(&spread, Duration::ZERO));
            spread.looked(Duration::ZERO, false);
        }
        assert_eq!(all, [0, 19_999, 39_999, 79_999, 159_999, 319_999, 639_999, 639_999, 639_999]);
        spread.looked(Duration::ZERO, true);
        assert_eq!(most(&spread, Duration::ZERO), 0);
    }

    #[test]
    fn where_little_happens_nobody_comes_late_by_much() {
        let mut spread = Spread::default();
        for _ in 0..3 {
            spread.looked(Duration::from_secs(9), false);
        }
        let after = |millis: u64| most(&spread, Duration::from_millis(9_000 + millis));
        assert_eq!([0, 249, 250, 500, 750, 60_000].map(after), [79_999, 79_999, 39_999, 19_999, 19_999, 19_999]);
    }
}
