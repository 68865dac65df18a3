//! Waiting, being admitted, ending.

use fastn_core::{ErrorKind, TenantId};
use fastn_store::{Batch, EntryKey, Expect, NewsAsk, Put, QUEUE, RunQuery, RunStatus, Then, Write, Written};

use super::desk::{queue, waiting};
use crate::conformance::case::{Case, Flaw, Found, case, ensure, fails, same};
use crate::conformance::trial::Trial;
use crate::sample::{at, definition, new_run};

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(a_run_that_waits_is_in_nobodys_hands),
    case!(an_admitted_run_is_as_it_was_created),
    case!(a_run_that_exists_is_not_enqueued_again),
    case!(a_queue_without_rules_admits_nothing),
    case!(a_queue_whose_rules_cannot_be_read_says_so),
    case!(a_queue_that_is_paused_admits_nothing),
    case!(only_served_runs_are_admitted),
    case!(who_has_no_lease_admits_nothing),
    case!(a_run_keeps_its_place_when_its_executor_ends),
    case!(a_queue_says_how_full_it_is),
    case!(a_queue_that_is_full_or_paused_is_not_worth_asking),
    case!(what_comes_to_a_queue_and_what_leaves_it_is_news),
];

async fn a_run_that_waits_is_in_nobodys_hands(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let lease = t.acquire("a", 0).await?;
    // Under a lease as well as without one.
    let writes = vec![Write::Enqueue(waiting("1", "")?.into()), Write::Create(new_run("t", "2", "w")?.into())];
    let written = t.write(Some(&lease), writes).await?;
    let [Written::Created(queued), Written::Created(held)] = written.as_slice() else {
        return Err(Flaw::new(format_args!("the answer was {written:?}")));
    };
    let other = t.line_up("3", "").await?;
    let run = t.history("t", "1").await?.run;
    same((run.holder, run.status), (None, RunStatus::Pending))?;
    fails(t.turn(&lease, *queued, 0, 1, Then::Run).await, ErrorKind::Invalid)?;
    same(t.claim_nos(&lease, 1, &["w"], 10).await?, vec![])?;
    t.turn(&lease, *held, 0, 1, Then::Run).await?;
    let unfinished = RunQuery { status: vec![RunStatus::Pending], ..RunQuery::default() };
    same(t.list(unfinished).await?, vec![other, *queued])?;
    t.store.release(&lease).await?;
    let next = t.acquire("b", 1).await?;
    same(t.claim_nos(&next, 1, &["w"], 10).await?, vec![*held])?;
    // The other one came at an earlier second.
    same(t.admit_nos(&next, 10).await?, vec![other, *queued])
}

async fn an_admitted_run_is_as_it_was_created(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let no = t.line_up("1", "").await?;
    let lease = t.acquire("a", 0).await?;
    let admitted = t.admit(&lease, 1, 10).await?;
    let [claim] = admitted.runs.as_slice() else { return Err(Flaw::new(format_args!("the answer was {admitted:?}"))) };
    let (history, new) = (&claim.history, new_run("t", "1", "w")?);
    same((claim.no, &history.run.key, &history.input, history.records.len()), (no, &new.key, &new.input, 0))?;
    same((&history.run.definition, history.run.holder), (&new.definition, Some(lease.token)))?;
    t.turn(&lease, no, 0, 3, Then::Run).await?;
    t.turn(&lease, no, 3, 1, Then::Wait(at(50))).await?;
    t.turn(&lease, no, 4, 1, Then::End(RunStatus::Failed)).await?;
    same(t.history("t", "1").await?.run.status, RunStatus::Failed)?;
    same(t.admit_nos(&lease, 2).await?, vec![])
}

async fn a_run_that_exists_is_not_enqueued_again(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let no = t.line_up("1", "").await?;
    let mut again = waiting("1", "other")?;
    again.new.input = fastn_core::Payload::json("7");
    for _ in 0..2 {
        match t.enqueue(1, again.clone()).await? {
            Written::Exists(found) => same((found.no, found.input), (no, new_run("t", "1", "w")?.input))?,
            other => return Err(Flaw::new(format_args!("the answer was {other:?}"))),
        }
    }
    let lease = t.acquire("a", 0).await?;
    same(t.admit_nos(&lease, 1).await?, vec![no])?;
    t.finish(&lease, no).await?;
    ensure(matches!(t.enqueue(1, again).await?, Written::Exists(_)), "a run that ended was created again")?;
    same(t.admit_nos(&lease, 1).await?, vec![])
}

async fn a_queue_without_rules_admits_nothing(t: Trial) -> Found {
    let no = t.line_up("1", "").await?;
    let lease = t.acquire("a", 0).await?;
    same(t.admit_nos(&lease, 1).await?, vec![])?;
    t.rule(|_| ()).await?;
    same(t.admit_nos(&lease, 1).await?, vec![no])
}

async fn a_queue_whose_rules_cannot_be_read_says_so(t: Trial) -> Found {
    t.line_up("1", "").await?;
    let invalid = |e| Flaw::new(format_args!("{e}"));
    let kind = fastn_core::EntryKind::new(QUEUE).map_err(invalid)?;
    let name = fastn_core::EntryName::new(queue()?.as_str()).map_err(invalid)?;
    let entry = EntryKey { kind, tenant: TenantId::default(), name };
    t.store.put(Put { key: entry, value: Some("no rules".into()), expect: Expect::Any }).await?;
    let lease = t.acquire("a", 0).await?;
    fails(t.admit(&lease, 1, 10).await, ErrorKind::Corrupt)
}

async fn a_queue_that_is_paused_admits_nothing(t: Trial) -> Found {
    t.rule(|rules| rules.paused = true).await?;
    let no = t.line_up("1", "").await?;
    let lease = t.acquire("a", 0).await?;
    same(t.admit(&lease, 1, 10).await?, fastn_store::Admitted::default())?;
    t.rule(|_| ()).await?;
    same(t.admit_nos(&lease, 1).await?, vec![no])
}

async fn only_served_runs_are_admitted(t: Trial) -> Found {
    t.rule(|rules| rules.per_key = Some(2)).await?;
    let lease = t.acquire("a", 0).await?;
    let mut served = Vec::new();
    for n in 0..12 {
        let mut new = waiting(&n.to_string(), if n % 2 == 0 { "even" } else { "odd" })?;
        if n < 8 {
            new.new.definition = definition("other")?;
        }
        let no = t.line_up_as(n, new).await?;
        served.extend((n >= 8).then_some(no));
    }
    same(t.admit_nos(&lease, 20).await?, served)
}

async fn who_has_no_lease_admits_nothing(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let no = t.line_up("1", "").await?;
    let old = t.acquire("a", 0).await?;
    t.store.release(&old).await?;
    let lease = t.acquire("b", 0).await?;
    fails(t.admit(&old, 1, 10).await, ErrorKind::Fenced)?;
    same(t.admit_nos(&lease, 1).await?, vec![no])
}

async fn a_run_keeps_its_place_when_its_executor_ends(t: Trial) -> Found {
    t.rule(|rules| rules.concurrency = Some(2)).await?;
    let mut runs = Vec::new();
    for n in 0..4 {
        runs.push(t.line_up_as(n, waiting(&n.to_string(), "")?).await?);
    }
    let first = t.acquire("a", 0).await?;
    let [one, two, three, four] = runs.as_slice() else { return Err(Flaw::new("there are four runs")) };
    same(t.admit_nos(&first, 5).await?, vec![*one, *two])?;
    t.turn(&first, *one, 0, 2, Then::Run).await?;
    t.turn(&first, *two, 0, 1, Then::Wait(at(90))).await?;
    t.store.release(&first).await?;
    let next = t.acquire("b", 6).await?;
    same(t.claim_nos(&next, 6, &["w"], 10).await?, vec![])?;
    let admitted = t.admit(&next, 6, 100).await?.runs;
    let counts: Vec<_> = admitted.iter().map(|claim| (claim.no, claim.history.records.len())).collect();
    same(counts, vec![(*one, 2), (*two, 1)])?;
    same(t.admit_nos(&next, 6).await?, vec![])?;
    t.turn(&next, *one, 2, 1, Then::End(RunStatus::Succeeded)).await?;
    same(t.admit_nos(&next, 7).await?, vec![*three])?;
    t.turn(&next, *two, 1, 1, Then::End(RunStatus::Succeeded)).await?;
    same(t.admit_nos(&next, 7).await?, vec![*four])
}

async fn a_queue_says_how_full_it_is(t: Trial) -> Found {
    t.rule(|rules| rules.concurrency = Some(1)).await?;
    same(t.store.waiting().await?, vec![])?;
    for (n, of) in ["a", "b", "b", "c"].into_iter().enumerate() {
        let second = i64::try_from(n).map_err(Flaw::new)?;
        t.line_up_as(second, waiting(&n.to_string(), of)?).await?;
    }
    same(t.store.waiting().await?, vec![queue()?])?;
    let lease = t.acquire("a", 0).await?;
    let admitted = t.admit_nos(&lease, 5).await?;
    let counts = t.store.counts(&queue()?, 2).await?;
    let keys: Vec<_> = counts.keys.iter().map(|busy| (busy.key.as_str(), busy.waiting, busy.running)).collect();
    same((counts.waiting, counts.running, keys), (3, 1, vec![("b", 2, 0), ("c", 1, 0)]))?;
    for no in admitted {
        t.finish(&lease, no).await?;
    }
    t.rule(|_| ()).await?;
    t.admit_nos(&lease, 5).await?;
    same(t.store.waiting().await?, vec![])?;
    t.store.release(&lease).await?;
    same(t.store.waiting().await?, vec![queue()?])
}

async fn a_queue_that_is_full_or_paused_is_not_worth_asking(t: Trial) -> Found {
    t.rule(|rules| rules.concurrency = Some(2)).await?;
    for name in ["1", "2", "3"] {
        t.line_up(name, "").await?;
    }
    let lease = t.acquire("a", 0).await?;
    let one = t.admit(&lease, 1, 1).await?.runs;
    same(t.store.waiting().await?, vec![queue()?])?;
    t.admit(&lease, 1, 1).await?;
    same(t.store.waiting().await?, vec![])?;
    for claim in one {
        t.finish(&lease, claim.no).await?;
    }
    same(t.store.waiting().await?, vec![queue()?])?;
    t.rule(|rules| rules.paused = true).await?;
    same(t.store.waiting().await?, vec![])?;
    // What was left behind is to be had all the same.
    t.store.release(&lease).await?;
    same(t.store.waiting().await?, vec![queue()?])?;
    let next = t.acquire("b", 2).await?;
    t.admit_nos(&next, 2).await?;
    same(t.store.waiting().await?, vec![])
}

async fn what_comes_to_a_queue_and_what_leaves_it_is_news(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let mut since = t.store.news(NewsAsk::default()).await?;
    for step in 0..4 {
        match step {
            0 => t.rule(|rules| rules.concurrency = Some(1)).await?,
            1 => {
                let writes = vec![Write::Enqueue(waiting("1", "")?.into()), Write::Enqueue(waiting("2", "")?.into())];
                t.store.commit(Batch { lease: None, now: at(1), writes }).await.map(drop)?;
            }
            2 => {
                for no in t.admit_nos(&lease, 2).await? {
                    t.finish(&lease, no).await?;
                }
            }
            _ => t.store.release(&lease).await?,
        }
        let before = since;
        while since.queues == before.queues {
            since = t.store.news(NewsAsk { since, ends: false }).await?;
        }
    }
    Ok(())
}
