//! Which of the runs that wait go now.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fastn_core::{QueueKey, Timestamp};
use serde::{Deserialize, Serialize};

use super::rules::QueueRules;
use super::turns;
use super::window::Window;

/// What is remembered of a queue between two admissions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct QueueBooks {
    /// The time of the turn that was had last.
    turn: u64,
    window: Window,
}

/// What is remembered of a key between two admissions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeyBooks {
    /// When its next turn is.
    turn: u64,
    window: Window,
}

impl QueueBooks {
    /// The time of the turn that was had last.
    pub(crate) const fn turn(&self) -> u64 {
        self.turn
    }
}

impl KeyBooks {
    /// When its next turn is.
    pub(crate) const fn turn(&self) -> u64 {
        self.turn
    }

    /// From when on they say nothing but when its next turn is; `None` if that is so already.
    pub(crate) fn over_at(&self, rules: &QueueRules) -> Option<Timestamp> {
        rules.rate_per_key.and_then(|rate| self.window.over_at(&rate))
    }
}

/// A run that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head<N> {
    pub(crate) no: N,
    pub(crate) rank: i64,
    pub(crate) cost: u32,
}

/// How much is taken already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    /// How many runs of the queue have their place.
    pub(crate) running: u64,
    /// How many of these the lease has.
    pub(crate) own: u64,
    /// How many runs are wanted at most.
    pub(crate) limit: u64,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step<N> {
    /// This run is admitted.
    Admit(N),
    /// More of this key's runs must be known, those behind this one: see [`Admission::add`].
    More(QueueKey, Option<Head<N>>),
    /// Nothing more is admitted.
    Done,
}

/// Decides which runs go. It is told the first runs of each key and asks for more where these do not suffice, so that a long
/// queue need not be read.
///
/// Keys are passed over while their own limits are reached. What is first and finds no room in the rate of all holds up the
/// others: what costs much would wait for ever otherwise.
#[derive(Debug)]
pub(crate) struct Admission<'r, N> {
    rules: &'r QueueRules,
    now: Timestamp,
    /// How many more there is room for.
    free: u64,
    /// Whether that is less than the queue's own limits allow.
    page: bool,
    /// The rate of all has no room.
    held_up: bool,
    books: QueueBooks,
    keys: BTreeMap<QueueKey, Desk<N>>,
    again_at: Option<Timestamp>,
}

/// What is known of a key.
#[derive(Debug)]
struct Desk<N> {
    waiting: VecDeque<Head<N>>,
    /// The last one that was admitted.
    last: Option<Head<N>>,
    /// Whether there may be more behind them.
    more: bool,
    running: u64,
    books: KeyBooks,
    changed: bool,
    /// It has reached a limit of its own.
    full: bool,
}

impl<'r, N: Copy + Ord> Admission<'r, N> {
    pub(crate) fn new(rules: &'r QueueRules, now: Timestamp, room: Room, mut books: QueueBooks) -> Self {
        let left = |most: Option<u32>, taken: u64| most.map_or(u64::MAX, |most| u64::from(most).saturating_sub(taken));
        let allowed = left(rules.concurrency, room.running).min(left(rules.per_executor, room.own));
        let allowed = if rules.paused { 0 } else { allowed };
        if let Some(rate) = &rules.rate {
            books.window.settle(rate, now);
        }
        let (free, page) = (allowed.min(room.limit), room.limit < allowed);
        Self { rules, now, free, page, held_up: false, books, keys: BTreeMap::new(), again_at: None }
    }

    /// Whether anything may be admitted at all; if not, nothing need be told of keys.
    pub(crate) const fn has_room(&self) -> bool {
        self.free > 0
    }

    /// Tells of a key: its first runs in their order, whether there may be more behind them, how many have their place, and
    /// what is remembered.
    pub(crate) fn tell(&mut self, key: QueueKey, waiting: Vec<Head<N>>, more: bool, running: u64, mut books: KeyBooks) {
        let set_back = self.rules.rate_per_key.is_some_and(|rate| books.window.settle(&rate, self.now));
        let desk = Desk { waiting: waiting.into(), last: None, more, running, books, changed: set_back, full: false };
        self.keys.insert(key, desk);
    }

    /// Tells of more runs of a key, those that follow those it was told of.
    #[cfg(any(feature = "sqlite", feature = "postgres", test))]
    pub(crate) fn add(&mut self, key: &QueueKey, waiting: Vec<Head<N>>, more: bool) {
        if let Some(desk) = self.keys.get_mut(key) {
            desk.waiting.extend(waiting);
            desk.more = more;
        }
    }

    /// Says what is to be done next.
    pub(crate) fn next(&mut self) -> Step<N> {
        loop {
            if self.free == 0 || self.held_up {
                return Step::Done;
            }
            let wants = |(_, desk): &(&QueueKey, &Desk<N>)| !desk.full && (desk.more || !desk.waiting.is_empty());
            // Before whose turn it is can be said, the first of each must be known.
            let unknown = self.keys.iter().filter(wants).find(|(_, desk)| desk.waiting.is_empty());
            if let Some((key, desk)) = unknown {
                return Step::More(key.clone(), desk.last);
            }
            let first = self.keys.iter().filter(wants).min_by_key(|(_, desk)| {
                let turn = if self.rules.fair { turns::start(desk.books.turn, self.books.turn) } else { 0 };
                (turn, desk.waiting.front().map(|head| (head.rank, head.no)))
            });
            let Some(key) = first.map(|(key, _)| key.clone()) else { return Step::Done };
            if let Some(step) = self.try_first(&key) {
                return step;
            }
        }
    }

    /// Admits the first run of a key, if there is room for it. `None` if the key has to be passed over.
    fn try_first(&mut self, key: &QueueKey) -> Option<Step<N>> {
        let Self { rules, now, books, keys, again_at, .. } = self;
        let desk = keys.get_mut(key)?;
        let head = *desk.waiting.front()?;
        if rules.per_key.is_some_and(|most| desk.running >= u64::from(most)) {
            desk.full = true;
            return None;
        }
        let sooner = |time: Timestamp| Some(again_at.map_or(time, |other| other.min(time)));
        if let Some(at) = rules.rate_per_key.and_then(|rate| desk.books.window.room_at(&rate, head.cost)) {
            desk.full = true;
            *again_at = sooner(at);
            return None;
        }
        if let Some(at) = rules.rate.and_then(|rate| books.window.room_at(&rate, head.cost)) {
            *again_at = sooner(at);
            self.held_up = true;
            return Some(Step::Done);
        }
        if let Some(rate) = &rules.rate {
            books.window.take(rate, *now, head.cost);
        }
        if let Some(rate) = &rules.rate_per_key {
            desk.books.window.take(rate, *now, head.cost);
            desk.changed = true;
        }
        if rules.fair {
            let start = turns::start(desk.books.turn, books.turn);
            books.turn = start;
            desk.books.turn = turns::after(start, rules.weights.get(key).copied().unwrap_or(1));
            desk.changed = true;
        }
        desk.running += 1;
        desk.last = desk.waiting.pop_front();
        self.free -= 1;
        Some(Step::Admit(head.no))
    }

    /// What is to be remembered of the queue.
    pub(crate) const fn books(&self) -> &QueueBooks {
        &self.books
    }

    /// What is to be remembered of those keys of which something has changed.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (&QueueKey, &KeyBooks)> {
        self.keys.iter().filter(|(_, desk)| desk.changed).map(|(key, desk)| (key, &desk.books))
    }

    /// After which span it is to be looked again, though nothing else happens. `delayed` is when the next run that must not go
    /// yet may.
    pub(crate) fn again_in(&self, delayed: Option<Timestamp>) -> Option<Duration> {
        if self.page && self.free == 0 {
            return Some(Duration::ZERO);
        }
        // What is held up by a limit is woken by an end; what comes of age meanwhile would only wait with it.
        let delayed = delayed.filter(|_| self.free > 0);
        let at = self.again_at.into_iter().chain(delayed).min()?;
        Some(at.since(self.now).max(Duration::from_micros(1)))
    }
}
