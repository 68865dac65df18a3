//! Runs that end before anything of them has begun.

use std::collections::BTreeSet;

use bytes::Bytes;
use fastn_core::{Error, ErrorKind, Result};
use fastn_store::{NewsAsk, RunStatus, Then, Withdraw};

use super::queues::waiting;
use crate::conformance::case::{Case, Flaw, Found, case, ensure, fails, same};
use crate::conformance::trial::Trial;
use crate::sample::{at, finished, key, record, withdrawal};

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(a_run_that_waits_for_its_turn_is_withdrawn_whoever_serves_it),
    case!(a_run_that_nobody_has_had_is_withdrawn),
    case!(a_run_that_somebody_has_had_is_not_withdrawn),
    case!(what_is_withdrawn_has_ended_and_that_is_news),
    case!(who_withdraws_ends_the_run),
    case!(of_those_who_want_a_run_at_once_one_has_it),
];

impl Trial {
    /// Withdraws a run of tenant `t`.
    pub(super) async fn withdraw(&self, name: &str) -> Result<bool> {
        self.store.withdraw(withdrawal(key("t", name)?, 5)?).await
    }

    async fn withdraws(&self, name: &str, expected: bool) -> Found {
        same(self.withdraw(name).await?, expected)
    }
}

async fn a_run_that_waits_for_its_turn_is_withdrawn_whoever_serves_it(t: Trial) -> Found {
    t.rule(|rules| rules.concurrency = Some(1)).await?;
    let mut runs = Vec::new();
    for n in 1..5 {
        runs.push(t.line_up_as(n, waiting(&n.to_string(), "")?).await?);
    }
    let lease = t.acquire("a", 0).await?;
    let [one, _, three, _] = runs.as_slice() else { return Err(Flaw::new("there are four runs")) };
    same(t.admit_nos(&lease, 5).await?, vec![*one])?;
    t.withdraws("1", false).await?;
    t.withdraws("nobody", false).await?;
    // One that waits, and one whose delay is not over.
    t.withdraws("2", true).await?;
    t.withdraws("2", false).await?;
    let mut late = waiting("late", "")?;
    late.delay = std::time::Duration::from_secs(100);
    t.line_up_as(5, late).await?;
    t.withdraws("late", true).await?;
    same(t.admit_nos(&lease, 5).await?, vec![])?;
    t.finish(&lease, *one).await?;
    same(t.admit_nos(&lease, 5).await?, vec![*three])?;
    t.withdraws("4", true).await?;
    let counts = t.store.counts(&super::queues::queue()?, 0).await?;
    same((counts.waiting, counts.running), (0, 1))?;
    t.finish(&lease, *three).await?;
    same(t.admit_nos(&lease, 1_000).await?, vec![])
}

async fn a_run_that_nobody_has_had_is_withdrawn(t: Trial) -> Found {
    let one = t.free("t", "1", "other").await?;
    let two = t.free("t", "2", "other").await?;
    t.withdraws("1", true).await?;
    t.withdraws("1", false).await?;
    let lease = t.acquire("a", 0).await?;
    same(t.claim_nos(&lease, 6, &["other"], 10).await?, vec![two])?;
    fails(t.turn(&lease, one, 2, 1, Then::Run).await, ErrorKind::Invalid)
}

async fn a_run_that_somebody_has_had_is_not_withdrawn(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let lease = t.acquire("a", 0).await?;
    let (held, waits, ended) =
        (t.held(&lease, "held").await?, t.held(&lease, "waits").await?, t.held(&lease, "ended").await?);
    let claimed = t.free("t", "claimed", "w").await?;
    let queued = t.line_up("queued", "").await?;
    same(t.claim_nos(&lease, 1, &["w"], 10).await?, vec![claimed])?;
    same(t.admit_nos(&lease, 1).await?, vec![queued])?;
    t.turn(&lease, waits, 0, 1, Then::Wait(at(90))).await?;
    t.finish(&lease, ended).await?;
    let all = ["held", "waits", "ended", "claimed", "queued"];
    for name in all {
        t.withdraws(name, false).await?;
    }
    // Also while nobody has it: something may have begun that is not recorded.
    t.store.release(&lease).await?;
    for name in all {
        t.withdraws(name, false).await?;
    }
    let next = t.acquire("b", 2).await?;
    let mut found: BTreeSet<_> = t.claim_nos(&next, 2, &["w"], 10).await?.into_iter().collect();
    found.extend(t.admit_nos(&next, 2).await?);
    same(found, BTreeSet::from([held, waits, claimed, queued]))
}

async fn what_is_withdrawn_has_ended_and_that_is_news(t: Trial) -> Found {
    let before = t.store.news(NewsAsk::default()).await?;
    let told = {
        let (t, mut since) = (t.clone(), before);
        tokio::spawn(async move {
            while since.ends == before.ends {
                since = t.store.news(NewsAsk { since, ends: true }).await?;
            }
            Ok::<_, Error>(())
        })
    };
    // When the wait has begun is not known here, and what ended before may be missed.
    let mut count = 3;
    while !told.is_finished() {
        count += 1;
        t.free("t", &count.to_string(), "w").await?;
        t.withdraws(&count.to_string(), true).await?;
        tokio::task::yield_now().await;
    }
    told.await.map_err(Flaw::new)??;
    t.free("t", "3", "w").await?;
    t.withdraws("3", true).await?;
    let history = t.history("t", "3").await?;
    same(
        (history.records.clone(), history.run.status),
        (vec![record(0), finished(RunStatus::Cancelled)], RunStatus::Cancelled),
    )?;
    same((history.run.finished_at, history.run.holder), (Some(at(5)), None))
}

async fn who_withdraws_ends_the_run(t: Trial) -> Found {
    let no = t.free("t", "1", "w").await?;
    for (status, count) in [(RunStatus::Waiting, 1), (RunStatus::Cancelled, 0)] {
        let ask = Withdraw { now: at(1), run: key("t", "1")?, status, records: Bytes::new(), count };
        fails(t.store.withdraw(ask).await, ErrorKind::Invalid)?;
    }
    let lease = t.acquire("a", 0).await?;
    same(t.claim_nos(&lease, 1, &["w"], 10).await?, vec![no])
}

async fn of_those_who_want_a_run_at_once_one_has_it(t: Trial) -> Found {
    const RUNS: usize = 24;
    t.rule(|_| ()).await?;
    let lease = t.acquire("a", 0).await?;
    for n in 0..RUNS {
        match n % 2 {
            0 => t.line_up(&n.to_string(), "").await?,
            _ => t.free("t", &n.to_string(), "w").await?,
        };
    }
    let withdrawers: Vec<_> = (0..2)
        .map(|_| {
            let t = t.clone();
            tokio::spawn(async move {
                let mut withdrawn = 0;
                for n in (0..RUNS).rev() {
                    withdrawn += usize::from(t.withdraw(&n.to_string()).await?);
                }
                Ok::<_, Error>(withdrawn)
            })
        })
        .collect();
    let mut taken = 0;
    for _ in 0..RUNS / 4 {
        taken += t.admit(&lease, 1, 1).await?.runs.len() + t.claim(&lease, 1, &["w"], 1).await?.len();
        tokio::task::yield_now().await;
    }
    let mut withdrawn = 0;
    for task in withdrawers {
        withdrawn += task.await.map_err(Flaw::new)??;
    }
    taken += t.admit_nos(&lease, 1).await?.len() + t.claim_nos(&lease, 1, &["w"], 100).await?.len();
    same(taken + withdrawn, RUNS)?;
    ensure(withdrawn > 0, "none was withdrawn")
}
