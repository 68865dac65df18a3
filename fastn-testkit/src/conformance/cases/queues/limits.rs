//! How many at a time.

use fastn_store::{Batch, RunStatus, Then, Write};

use super::desk::waiting;
use crate::conformance::capability::Capability;
use crate::conformance::case::{Case, Flaw, Found, case, same};
use crate::conformance::trial::Trial;
use crate::sample::at;

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(no_more_runs_are_admitted_than_may_run_at_once),
    case!(no_more_runs_of_a_key_are_admitted_than_may_run_at_once),
    case!(no_executor_is_given_more_than_it_may_have),
    case!(an_executor_that_takes_over_is_given_no_more_than_it_may_have).needs(&[Capability::ManyLeases]),
    case!(a_limit_that_is_lowered_takes_effect_as_runs_end),
    case!(a_long_queue_of_one_key_does_not_hide_the_others),
];

async fn no_more_runs_are_admitted_than_may_run_at_once(t: Trial) -> Found {
    t.rule(|rules| rules.concurrency = Some(3)).await?;
    let mut runs = Vec::new();
    for n in 0..10 {
        runs.push(t.line_up_as(n, waiting(&n.to_string(), &n.to_string())?).await?);
    }
    let lease = t.acquire("a", 0).await?;
    let mut admitted = t.admit_nos(&lease, 20).await?;
    let mut seen = admitted.clone();
    same(admitted.len(), 3)?;
    while let Some(no) = admitted.pop() {
        same(t.admit_nos(&lease, 20).await?, vec![])?;
        // One that waits has its place still.
        t.turn(&lease, no, 0, 1, Then::Wait(at(60))).await?;
        same(t.admit_nos(&lease, 20).await?, vec![])?;
        t.turn(&lease, no, 1, 1, Then::End(RunStatus::Failed)).await?;
        let more = t.admit_nos(&lease, 20).await?;
        same(more.len(), usize::from(seen.len() < 10))?;
        seen.extend(more.iter().copied());
        admitted.extend(more);
    }
    same(seen, runs)
}

async fn no_more_runs_of_a_key_are_admitted_than_may_run_at_once(t: Trial) -> Found {
    t.rule(|rules| rules.per_key = Some(2)).await?;
    let mut runs = Vec::new();
    for (n, of) in ["a", "a", "a", "b", "a", "b", "b"].into_iter().enumerate() {
        let second = i64::try_from(n).map_err(Flaw::new)?;
        runs.push(t.line_up_as(second, waiting(&n.to_string(), of)?).await?);
    }
    let [a1, a2, a3, b1, a4, b2, b3] = runs.as_slice() else { return Err(Flaw::new("there are seven runs")) };
    let lease = t.acquire("a", 0).await?;
    same(t.admit_nos(&lease, 20).await?, vec![*a1, *a2, *b1, *b2])?;
    same(t.admit_nos(&lease, 20).await?, vec![])?;
    t.finish(&lease, *a2).await?;
    same(t.admit_nos(&lease, 20).await?, vec![*a3])?;
    t.finish(&lease, *b1).await?;
    t.finish(&lease, *a1).await?;
    same(t.admit_nos(&lease, 20).await?, vec![*a4, *b3])
}

async fn no_executor_is_given_more_than_it_may_have(t: Trial) -> Found {
    t.rule(|rules| rules.per_executor = Some(2)).await?;
    for n in 0..5 {
        t.line_up_as(n, waiting(&n.to_string(), "")?).await?;
    }
    let lease = t.acquire("a", 0).await?;
    let admitted = t.admit_nos(&lease, 9).await?;
    same((admitted.len(), t.admit_nos(&lease, 9).await?), (2, vec![]))?;
    let [first, ..] = admitted.as_slice() else { return Err(Flaw::new("there is no run")) };
    t.finish(&lease, *first).await?;
    same((t.admit_nos(&lease, 9).await?.len(), t.admit_nos(&lease, 9).await?), (1, vec![]))
}

async fn an_executor_that_takes_over_is_given_no_more_than_it_may_have(t: Trial) -> Found {
    t.rule(|rules| rules.per_executor = Some(2)).await?;
    for n in 0..5 {
        t.line_up_as(n, waiting(&n.to_string(), "")?).await?;
    }
    let (one, two) = (t.acquire("one", 0).await?, t.acquire("two", 0).await?);
    let first = t.admit_nos(&one, 9).await?;
    let second = t.admit_nos(&two, 9).await?;
    same((first.len(), second.len()), (2, 2))?;
    t.store.release(&one).await?;
    same(t.admit_nos(&two, 9).await?, vec![])?;
    let ([lost, _], [own, other]) = (first.as_slice(), second.as_slice()) else {
        return Err(Flaw::new("there are two runs each"));
    };
    t.finish(&two, *own).await?;
    same(t.admit_nos(&two, 9).await?, vec![*lost])?;
    t.finish(&two, *other).await?;
    same(t.admit_nos(&two, 9).await?.len(), 1)
}

async fn a_limit_that_is_lowered_takes_effect_as_runs_end(t: Trial) -> Found {
    t.rule(|rules| rules.concurrency = Some(3)).await?;
    for n in 0..5 {
        t.line_up_as(n, waiting(&n.to_string(), "")?).await?;
    }
    let lease = t.acquire("a", 0).await?;
    let admitted = t.admit_nos(&lease, 9).await?;
    t.rule(|rules| rules.concurrency = Some(1)).await?;
    for (place, no) in admitted.iter().enumerate() {
        same(t.admit_nos(&lease, 9).await?, vec![])?;
        t.finish(&lease, *no).await?;
        same(place < 3, true)?;
    }
    same(t.admit_nos(&lease, 9).await?.len(), 1)
}

async fn a_long_queue_of_one_key_does_not_hide_the_others(t: Trial) -> Found {
    t.rule(|rules| rules.per_key = Some(70)).await?;
    let of = |n: u32| if n < 200 { "long" } else { "short" };
    let writes = (0..203).map(|n| Ok(Write::Enqueue(waiting(&n.to_string(), of(n))?.into())));
    let writes = writes.collect::<fastn_core::Result<Vec<_>>>()?;
    t.store.commit(Batch { lease: None, now: at(0), writes }).await?;
    let lease = t.acquire("a", 0).await?;
    same(t.admit(&lease, 1, 1_000).await?.runs.len(), 73)?;
    // Told that there was no room in the answer alone.
    t.rule(|_| ()).await?;
    let page = t.admit(&lease, 1, 100).await?;
    same((page.runs.len(), page.again_in), (100, Some(std::time::Duration::ZERO)))?;
    let rest = t.admit(&lease, 1, 100).await?;
    same((rest.runs.len(), rest.again_in), (30, None))
}
