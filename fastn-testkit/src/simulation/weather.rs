//! How much trouble there is in a world.

use std::time::Duration;

use super::executor::Order;
use crate::dice::Dice;

/// How often what goes wrong, in a thousand times.
#[derive(Clone, Debug)]
pub(super) struct Weather {
    /// A call of the store takes a while.
    pub(super) slow: u64,
    /// The longest it then takes.
    pub(super) slowness: Duration,
    /// A call of the store fails, and nothing was done.
    pub(super) refused: u64,
    /// A call of the store is answered by an error, and was done.
    pub(super) answer_lost: u64,
    /// A call of the store fails in a way that trying again does not help.
    pub(super) broken: u64,
    /// A write is not taken, whatever becomes of those beside it.
    pub(super) refuses_writes: u64,
    /// A process dies at a call of the store.
    pub(super) deadly: u64,
    /// How many things happen to processes from outside.
    pub(super) events: u64,
    /// At most so many steps of the scheduler between them.
    pub(super) gap: u64,
    /// Whether the calendar is set.
    pub(super) calendar: bool,
    /// Whether processes are paused for longer than leases last.
    pub(super) pauses: bool,
    /// Whether steps misbehave.
    pub(super) rough: bool,
    /// Whether engines unload runs after every turn.
    pub(super) suspend: bool,
    pub(super) preference: bool,
    /// How many commits of an engine are under way at once.
    pub(super) lanes: usize,
    /// Whether engines wait for a store that is away for long, instead of halting.
    pub(super) comes_back: bool,
}

impl Weather {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let mut some = |of: &[u64]| dice.pick(of);
        Self {
            slow: some(&[0, 20, 200, 700]),
            slowness: Duration::from_millis(some(&[1, 30, 800, 12_000])),
            refused: some(&[0, 0, 20, 150]),
            answer_lost: some(&[0, 0, 20, 150]),
            broken: some(&[0, 0, 0, 4]),
            refuses_writes: some(&[0, 0, 20, 120]),
            deadly: some(&[0, 0, 15, 60]),
            events: some(&[0, 1, 2, 4, 8]),
            gap: some(&[20, 80, 300, 1_000]),
            calendar: some(&[0, 0, 1]) == 1,
            pauses: some(&[0, 1]) == 1,
            rough: some(&[0, 1, 1]) == 1,
            suspend: some(&[0, 0, 0, 1]) == 1,
            preference: some(&[0, 0, 0, 1]) == 1,
            lanes: some(&[1, 2, 3]).try_into().unwrap_or(1),
            comes_back: some(&[0, 1]) == 1,
        }
    }

    /// Whether nothing holds an engine up for long.
    pub(super) fn is_prompt(&self) -> bool {
        let soon = self.slow == 0 || self.slowness < Duration::from_secs(1);
        soon && self.refused + self.answer_lost + self.broken == 0 && !self.calendar
    }

    /// The order in which tasks are polled now.
    pub(super) fn order(&self, dice: &mut Dice) -> Order {
        if self.preference { Order::Preference(dice.next()) } else { Order::Any }
    }

    /// A span that is short more often than long.
    pub(super) fn span(dice: &mut Dice, most: Duration) -> Duration {
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1);
        let bound = most >> dice.below(10);
        Duration::from_micros(dice.below(bound.max(1)))
    }
}
