//! What holds for every queue, whatever its rules and whoever waits.

use std::collections::BTreeMap;
use std::time::Duration;

use fastn_core::{QueueKey, Timestamp};
use proptest::prelude::*;

use super::admission::{Admission, Head, KeyBooks, QueueBooks, Room, Step};
use super::rank::rank;
use super::rate::{Rate, RateWindow};
use super::rules::QueueRules;

/// A run of these tests: its key, its cost, its priority, when it comes, and how long it goes on.
#[derive(Clone, Copy, Debug)]
struct Job {
    key: u8,
    cost: u32,
    priority: i16,
    comes: i64,
    lasts: i64,
}

/// A queue with those who wait and those who run, as a store keeps it.
#[derive(Debug, Default)]
struct Hall {
    waiting: BTreeMap<u32, Job>,
    running: BTreeMap<u32, (Job, i64)>,
    books: QueueBooks,
    keys: BTreeMap<QueueKey, KeyBooks>,
    /// Who was admitted, and when.
    admitted: Vec<(u32, Job, i64)>,
}

fn key(job: &Job) -> QueueKey {
    QueueKey::of(&job.key.to_string())
}

fn head(no: u32, job: &Job, rules: &QueueRules) -> Head<u32> {
    Head { no, rank: rank(Timestamp::from_micros(job.comes), job.priority, rules.ageing), cost: job.cost }
}

impl Hall {
    fn line(&self, of: &QueueKey, now: i64, rules: &QueueRules) -> Vec<Head<u32>> {
        let mut line: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, job)| key(job) == *of && job.comes <= now)
            .map(|(no, job)| head(*no, job, rules))
            .collect();
        line.sort_by_key(|head| (head.rank, head.no));
        line
    }

    /// Admits at a time, told of a few runs of each key at once.
    fn admit(&mut self, rules: &QueueRules, now: i64, few: usize) -> Option<Duration> {
        let room = Room { running: self.running.len() as u64, own: self.running.len() as u64, limit: u64::MAX };
        let mut admission = Admission::new(rules, Timestamp::from_micros(now), room, self.books.clone());
        let mut names: Vec<QueueKey> = self.waiting.values().filter(|job| job.comes <= now).map(key).collect();
        names.sort();
        names.dedup();
        let part = |line: &[Head<u32>]| (line.iter().copied().take(few).collect::<Vec<_>>(), line.len() > few);
        for name in names {
            let (heads, more) = part(&self.line(&name, now, rules));
            let running = self.running.values().filter(|(job, _)| key(job) == name).count() as u64;
            let books = self.keys.get(&name).cloned().unwrap_or_default();
            admission.tell(name, heads, more, running, books);
        }
        loop {
            match admission.next() {
                Step::Done => break,
                Step::More(name, _) => {
                    let (heads, more) = part(&self.line(&name, now, rules));
                    admission.add(&name, heads, more);
                }
                Step::Admit(no) => {
                    let job = self.waiting.remove(&no).unwrap();
                    self.running.insert(no, (job, now + job.lasts));
                    self.admitted.push((no, job, now));
                }
            }
        }
        self.books = admission.books().clone();
        self.keys.extend(admission.changed().map(|(name, books)| (name.clone(), books.clone())));
        let delayed = self.waiting.values().map(|job| job.comes).filter(|comes| *comes > now).min();
        admission.again_in(delayed.map(Timestamp::from_micros))
    }
}

fn jobs() -> impl Strategy<Value = Vec<Job>> {
    let job = (0_u8..4, 1_u32..5, -3_i16..4, 0_i64..200, 1_i64..40)
        .prop_map(|(key, cost, priority, comes, lasts)| Job { key, cost, priority, comes, lasts });
    prop::collection::vec(job, 1..60)
}

fn rate() -> impl Strategy<Value = Option<Rate>> {
    let window = prop_oneof![Just(RateWindow::Fixed), Just(RateWindow::Sliding)];
    let rate = (1_u32..8, 1_u64..50, window).prop_map(|(quota, per, window)| Rate {
        quota,
        per: Duration::from_micros(per),
        window,
    });
    prop::option::of(rate)
}

fn rules() -> impl Strategy<Value = QueueRules> {
    let limit = || prop::option::of(1_u32..6);
    (limit(), limit(), limit(), rate(), rate(), any::<bool>(), prop::collection::btree_map(0_u8..4, 1_u32..5, 0..3))
        .prop_map(|(concurrency, per_executor, per_key, rate, rate_per_key, fair, weights)| QueueRules {
            concurrency,
            per_executor,
            per_key,
            rate,
            rate_per_key,
            fair,
            weights: weights.into_iter().map(|(key, weight)| (QueueKey::of(&key.to_string()), weight)).collect(),
            ageing: Duration::from_micros(10),
            ..QueueRules::default()
        })
}

/// Lets everything happen, waking only when it was said to look again, or when a run ends.
fn play(jobs: &[Job], rules: &QueueRules, few: usize) -> Hall {
    let mut hall = Hall { waiting: (0..).zip(jobs.iter().copied()).collect(), ..Hall::default() };
    let mut now = 0;
    for _ in 0..10_000 {
        let again = hall.admit(rules, now, few);
        check(&hall, rules, now);
        if hall.waiting.is_empty() {
            return hall;
        }
        let end = hall.running.values().map(|(_, end)| *end).min();
        let again = again.map(|span| now + i64::try_from(span.as_micros()).unwrap());
        now = end.into_iter().chain(again).min().unwrap_or_else(|| panic!("nobody is to look again: {hall:#?}"));
        hall.running.retain(|_, (_, end)| *end > now);
    }
    panic!("it does not end: {hall:#?}");
}

/// No limit is exceeded.
fn check(hall: &Hall, rules: &QueueRules, now: i64) {
    let within = |most: Option<u32>, count: usize| most.is_none_or(|most| count <= most as usize);
    assert!(within(rules.concurrency, hall.running.len()) && within(rules.per_executor, hall.running.len()));
    for name in 0..4 {
        let of_key = hall.running.values().filter(|(job, _)| job.key == name).count();
        assert!(within(rules.per_key, of_key), "{of_key} of key {name} at {now}");
    }
}

/// What was taken in any window.
fn check_rate(admitted: &[(Job, i64)], rate: Rate) {
    let span = i64::try_from(rate.per.as_micros()).unwrap();
    let begins: Vec<i64> = match rate.window {
        RateWindow::Fixed => admitted.iter().map(|(_, at)| at - at.rem_euclid(span)).collect(),
        RateWindow::Sliding => admitted.iter().map(|(_, at)| *at).collect(),
    };
    for begin in begins {
        let inside = admitted.iter().filter(|(_, at)| (begin..begin + span).contains(at));
        let taken: u32 = inside.map(|(job, _)| job.cost.min(rate.quota)).sum();
        assert!(taken <= rate.quota, "{taken} of {} from {begin} on", rate.quota);
    }
}

proptest! {
    #[test]
    fn no_limit_is_exceeded_and_everybody_has_a_turn(jobs in jobs(), rules in rules(), few in 1_usize..5) {
        let hall = play(&jobs, &rules, few);
        prop_assert_eq!(hall.admitted.len(), jobs.len());
        let all: Vec<_> = hall.admitted.iter().map(|(_, job, at)| (*job, *at)).collect();
        if let Some(rate) = rules.rate {
            check_rate(&all, rate);
        }
        if let Some(rate) = rules.rate_per_key {
            for name in 0..4 {
                let of_key: Vec<_> = all.iter().copied().filter(|(job, _)| job.key == name).collect();
                check_rate(&of_key, rate);
            }
        }
    }

    #[test]
    fn it_makes_no_difference_how_many_are_told_at_once(jobs in jobs(), rules in rules()) {
        let order = |few| play(&jobs, &rules, few).admitted.iter().map(|(no, _, at)| (*no, *at)).collect::<Vec<_>>();
        prop_assert_eq!(order(1), order(100));
    }

    #[test]
    fn who_may_have_more_gets_the_same_and_more(jobs in jobs(), rules in rules(), less in 1_u32..5) {
        let order = |most| {
            let rules = QueueRules { concurrency: Some(most), per_executor: None, ..rules.clone() };
            let mut hall = Hall { waiting: (0..).zip(jobs.iter().copied()).collect(), ..Hall::default() };
            hall.admit(&rules, 1_000, 3);
            hall.admitted.iter().map(|(no, ..)| *no).collect::<Vec<_>>()
        };
        let (few, more) = (order(less), order(less + 3));
        prop_assert!(more.starts_with(&few), "{few:?} and {more:?}");
    }

    /// Whoever came so long before another that age outweighs priority does not wait behind it.
    #[test]
    fn age_outweighs_priority_in_the_end(jobs in jobs()) {
        let rules = QueueRules { concurrency: Some(1), ageing: Duration::from_micros(10), ..QueueRules::default() };
        let hall = play(&jobs, &rules, 3);
        let place = |no: u32| hall.admitted.iter().position(|(other, ..)| *other == no);
        for (a, one) in (0..).zip(&jobs) {
            for (b, two) in (0..).zip(&jobs) {
                // Six points lie between the least and the largest priority here.
                if one.comes + 60 < two.comes {
                    prop_assert!(place(a) < place(b), "{one:?} came long before {two:?}");
                }
            }
        }
    }

    #[test]
    fn turns_are_shared_by_weight(weights in prop::collection::vec(1_u32..6, 2..4), rounds in 1_usize..8) {
        let rules = QueueRules {
            fair: true,
            concurrency: Some(1),
            weights: (0..).zip(&weights).map(|(key, weight): (u8, _)| (QueueKey::of(&key.to_string()), *weight)).collect(),
            ..QueueRules::default()
        };
        let turns = rounds * weights.iter().sum::<u32>() as usize;
        let job = |key| Job { key, cost: 1, priority: 0, comes: 0, lasts: 1 };
        let jobs = (0..weights.len()).flat_map(|key| vec![job(u8::try_from(key).unwrap()); turns]);
        let hall = play(&jobs.collect::<Vec<_>>(), &rules, 2);
        for (key, weight) in (0..).zip(&weights) {
            let had = hall.admitted.iter().take(turns).filter(|(_, job, _)| job.key == key).count();
            let due = rounds * *weight as usize;
            prop_assert!(had.abs_diff(due) <= 1, "key {key} had {had} of {turns} turns and was due {due}");
        }
    }

    /// Windows of more than are remembered one by one are never exceeded, and hardly ever wait longer than they must.
    #[test]
    fn large_windows_hold_and_use_nearly_all_of_their_quota(gaps in prop::collection::vec(0_i64..30, 2_000)) {
        let rate = Rate::sliding(600, Duration::from_micros(10_000));
        let mut window = super::window::Window::default();
        let (mut now, mut taken, mut waited) = (0_i64, Vec::new(), 0_usize);
        for gap in gaps {
            now += gap;
            window.settle(&rate, Timestamp::from_micros(now));
            if let Some(at) = window.room_at(&rate, 1) {
                prop_assert!(at > Timestamp::from_micros(now));
                let full = taken.iter().filter(|time| **time > now - 10_000).count();
                prop_assert!(full >= 600 - 600 * 12 / 256, "held up by {full}");
                waited += 1;
                now = at.as_micros();
                window.settle(&rate, at);
            }
            window.take(&rate, Timestamp::from_micros(now), 1);
            taken.push(now);
            let inside = taken.iter().rev().take_while(|time| **time > now - 10_000).count();
            prop_assert!(inside <= 600, "{inside} in a window");
        }
        prop_assert!(waited < 2_000);
    }
}
