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

/// How late an executor comes to what others have done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    late: u32,
}

impl Spread {
    /// How long to leave it to others, by chance.
    pub(super) fn delay(self, chance: impl FnOnce() -> u64) -> Duration {
        match self.late.checked_sub(1) {
            None => Duration::ZERO,
            Some(times) => Duration::from_micros(chance() % (FIRST << times)),
        }
    }

    /// It has looked for what others have done: whether there was something for it.
    pub(super) fn looked(&mut self, found: bool) {
        self.late = if found { 0 } else { self.late.saturating_add(1).min(MOST + 1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_too_late_again_and_again_comes_ever_later_until_it_finds_something() {
        let mut spread = Spread::default();
        let mut most = Vec::new();
        for _ in 0..9 {
            most.push((0..100_000).map(|n| spread.delay(|| n * 7).as_micros()).max().unwrap());
            spread.looked(false);
        }
        assert_eq!(most, [0, 19_999, 39_999, 79_999, 159_999, 319_999, 639_999, 639_999, 639_999]);
        spread.looked(true);
        assert_eq!(spread.delay(|| u64::MAX), Duration::ZERO);
    }
}
