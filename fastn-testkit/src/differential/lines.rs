//! What is done to the queues of all stores.

use std::time::Duration;

use fastn_core::{EntryKind, EntryName, Error, ErrorKind, QueueKey, QueueName, Result, TenantId};
use fastn_store::{
    AdmitAsk, Enqueue, EntryKey, Expect, Join, NewRun, Once, Put, QUEUE, QueueRules, Rate, Store, Suspects, WhenTaken,
};

use super::by::By;
use super::names::Names;
use super::place::place;
use crate::dice::Dice;
use crate::sample::{at, definition, withdrawal};

/// Something that is done to a queue, or a look at queues.
#[derive(Clone, Debug)]
pub(super) enum LineDeed {
    Rule {
        queue: &'static str,
        /// `None` if its rules are taken away.
        rules: Option<Box<QueueRules>>,
    },
    Admit {
        by: By,
        queue: &'static str,
        workflows: Vec<&'static str>,
        limit: u32,
        suspects: (u32, u32),
    },
    Withdraw {
        run: u64,
    },
    Waiting,
    Counts {
        queue: &'static str,
        keys: u32,
    },
}

/// How a run waits.
#[derive(Clone, Debug)]
pub(super) struct Line {
    queue: &'static str,
    key: &'static str,
    priority: i16,
    delay: u64,
    cost: u32,
    /// The place that it takes, and what becomes of it if that is taken.
    once: Option<(u8, IfTaken)>,
}

#[derive(Clone, Copy, Debug)]
enum IfTaken {
    Stays,
    PushesBack(u64),
    /// It is an item of this name, in a list of so many items and bytes.
    Joins(u8, u32, u64),
}

const QUEUES: &[&str] = &["q", "\u{1F600}"];
const KEYS: &[&str] = &["", "a", "b"];
const AGEING: Duration = Duration::from_secs(5);

/// What a seed decides.
pub(super) fn line_deed(dice: &mut Dice, by: By, workflows: Vec<&'static str>) -> LineDeed {
    let queue = queue(dice);
    match dice.below(16) {
        0 | 1 => LineDeed::Rule { queue, rules: (!dice.one_in(10)).then(|| Box::new(rules(dice))) },
        2 | 3 => LineDeed::Waiting,
        4 => LineDeed::Counts { queue, keys: if dice.one_in(4) { 0 } else { 100 } },
        5 | 6 => LineDeed::Withdraw { run: dice.next() >> 48 },
        _ => {
            let suspects = if dice.one_in(4) { (1, small(dice, 2)) } else { (0, 0) };
            LineDeed::Admit { by, queue, workflows, limit: small(dice, 5), suspects }
        }
    }
}

/// How a run waits, as a seed decides.
pub(super) fn line(dice: &mut Dice) -> Line {
    Line {
        queue: queue(dice),
        key: dice.pick(KEYS),
        priority: if dice.one_in(3) { i16::try_from(dice.below(9)).unwrap_or(0).saturating_sub(4) } else { 0 },
        delay: if dice.one_in(4) { dice.below(9) } else { 0 },
        cost: if dice.one_in(4) { small(dice, 4) } else { 1 },
        once: dice.one_in(2).then(|| {
            let id = u8::try_from(dice.below(2)).unwrap_or(0);
            let taken = match dice.below(5) {
                0 => IfTaken::Stays,
                1 => IfTaken::PushesBack(dice.below(20)),
                _ => {
                    let item = u8::try_from(dice.below(12)).unwrap_or(0);
                    IfTaken::Joins(item, small(dice, 4).saturating_add(1), if dice.one_in(4) { 12 } else { 1_000 })
                }
            };
            (id, taken)
        }),
    }
}

/// Most runs wait in one, so that there is something to decide.
fn queue(dice: &mut Dice) -> &'static str {
    if dice.one_in(5) { dice.pick(QUEUES) } else { "q" }
}

fn rules(dice: &mut Dice) -> QueueRules {
    let mut rules = QueueRules::default();
    let limit = |dice: &mut Dice, most: u64| dice.one_in(3).then(|| small(dice, most).saturating_add(1));
    rules.paused = dice.one_in(12);
    rules.concurrency = limit(dice, 4);
    rules.per_executor = limit(dice, 3);
    rules.per_key = limit(dice, 2);
    rules.rate = dice.one_in(4).then(|| rate(dice));
    rules.rate_per_key = dice.one_in(3).then(|| rate(dice));
    rules.fair = dice.one_in(2);
    if rules.fair && dice.one_in(2) {
        let weight = small(dice, 3).saturating_add(1);
        rules.weights.insert(QueueKey::of(dice.pick(KEYS)), weight);
    }
    rules.ageing = AGEING;
    rules
}

fn rate(dice: &mut Dice) -> Rate {
    let (quota, per) = (small(dice, 2).saturating_add(1), Duration::from_secs(dice.below(30).saturating_add(1)));
    if dice.one_in(2) { Rate::fixed(quota, per) } else { Rate::sliding(quota, per) }
}

fn small(dice: &mut Dice, end: u64) -> u32 {
    u32::try_from(dice.below(end)).unwrap_or(0)
}

impl Line {
    /// How a run waits that nothing else is said of.
    pub(super) const fn plain() -> Self {
        Self { queue: "q", key: "", priority: 0, delay: 0, cost: 1, once: None }
    }

    /// The run as it is enqueued.
    pub(super) fn enqueue(&self, new: &NewRun) -> Result<Enqueue> {
        let once = self.once.map(|(id, taken)| {
            let taken = match taken {
                IfTaken::Stays => WhenTaken::Stay,
                IfTaken::PushesBack(most) => WhenTaken::PushBack(Duration::from_secs(most)),
                IfTaken::Joins(item, most, bytes) => WhenTaken::Join(Join { item: [item; 16], most, bytes }),
            };
            Once { id: [id; 16], taken }
        });
        Ok(Enqueue {
            new: new.clone(),
            queue: name(self.queue)?,
            key: QueueKey::of(self.key),
            priority: self.priority,
            ageing: AGEING,
            delay: Duration::from_secs(self.delay),
            cost: self.cost,
            once,
        })
    }
}

/// Does it and gives the answer as text.
pub(super) async fn answer(
    store: &dyn Store,
    deed: &LineDeed,
    (names, runs, now): (&Names, &[NewRun], i64),
) -> Result<String> {
    match deed {
        LineDeed::Rule { queue, rules } => {
            let kind = EntryKind::new(QUEUE).map_err(invalid)?;
            let key = EntryKey { kind, tenant: TenantId::default(), name: EntryName::new(*queue).map_err(invalid)? };
            let value = rules.as_ref().map(|rules| rules.encode()).transpose()?;
            store.put(Put { key, value, expect: Expect::Any }).await?;
            Ok("ruled".to_owned())
        }
        LineDeed::Admit { by, queue, workflows, limit, suspects: (deaths, most) } => {
            let serves = workflows.iter().map(|workflow| definition(workflow)).collect::<Result<_>>()?;
            let suspects = Suspects { deaths: *deaths, limit: *most };
            let (lease, queue) = (names.token(*by).unwrap_or(0), name(queue)?);
            let ask = AdmitAsk { lease, now: at(now), queue, serves, limit: *limit, suspects };
            let admitted = store.admit(ask).await?;
            Ok(format!("{}, again in {:?}", names.claimed(&admitted.runs), admitted.again_in))
        }
        LineDeed::Withdraw { run } => {
            let Some(run) = place(*run, runs.len()).and_then(|place| runs.get(place)) else {
                return Ok("no run".to_owned());
            };
            let withdrawn = store.withdraw(withdrawal(run.key.clone(), now)?).await?;
            Ok(format!("withdrawn: {withdrawn}"))
        }
        LineDeed::Waiting => {
            let mut waiting = store.waiting().await?;
            waiting.sort();
            Ok(format!("{waiting:?}"))
        }
        LineDeed::Counts { queue, keys } => {
            let mut counts = store.counts(&name(queue)?, *keys).await?;
            // Which of two that are as full comes first, nobody says.
            counts.keys.sort_by(|a, b| (b.waiting, b.running, &b.key).cmp(&(a.waiting, a.running, &a.key)));
            Ok(format!("{counts:?}"))
        }
    }
}

fn name(queue: &str) -> Result<QueueName> {
    QueueName::new(queue).map_err(invalid)
}

fn invalid(why: impl Into<fastn_core::BoxError>) -> Error {
    Error::new(ErrorKind::Invalid, "make a sample").caused_by(why)
}
