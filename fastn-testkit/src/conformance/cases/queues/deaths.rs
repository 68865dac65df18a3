//! Counting the executors that died over runs of queues.

use fastn_store::{AdmitAsk, Admitted, RunNo, Suspects, Then};

use super::desk::{queue, waiting};
use crate::conformance::case::{Case, Found, case, same};
use crate::conformance::trial::Trial;
use crate::sample::{at, definition};

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(who_dies_over_runs_of_queues_is_counted),
    case!(runs_of_queues_that_may_kill_are_given_one_by_one),
    case!(runs_of_queues_that_were_left_go_to_those_who_serve_them),
];

fn counts(admitted: Admitted) -> Vec<(RunNo, u32)> {
    admitted.runs.into_iter().map(|claim| (claim.no, claim.deaths)).collect()
}

async fn who_dies_over_runs_of_queues_is_counted(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let (bad, good) = (t.line_up("bad", "").await?, t.line_up_as(1, waiting("good", "")?).await?);
    let first = t.acquire("first", 10).await?;
    same(counts(t.admit(&first, 10, 10).await?), vec![(bad, 0), (good, 0)])?;
    let mut lease = first;
    for life in 1..=5_u32 {
        t.turn(&lease, good, u64::from(life) - 1, 1, Then::Run).await?;
        let now = 10 + 20 * i64::from(life);
        lease = t.acquire(&format!("life {life}"), now).await?;
        same(counts(t.admit(&lease, now, 10).await?), vec![(bad, life), (good, 1)])?;
    }
    t.store.release(&lease).await?;
    lease = t.acquire("released", 130).await?;
    same(counts(t.admit(&lease, 130, 10).await?), vec![(bad, 0), (good, 0)])?;
    t.turn(&lease, bad, 0, 1, Then::Wait(at(10_000))).await?;
    lease = t.acquire("waits", 150).await?;
    same(counts(t.admit(&lease, 150, 10).await?), vec![(bad, 0), (good, 1)])
}

async fn runs_of_queues_that_may_kill_are_given_one_by_one(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let (one, two) = (t.line_up("1", "").await?, t.line_up_as(1, waiting("2", "")?).await?);
    let first = t.acquire("first", 10).await?;
    same(counts(t.admit(&first, 10, 10).await?), vec![(one, 0), (two, 0)])?;
    let new = t.line_up_as(2, waiting("3", "")?).await?;
    let care = |limit| Suspects { deaths: 1, limit };
    let lease = t.acquire("second", 30).await?;
    same(counts(t.admit_with(&lease, 30, 10, care(1)).await?), vec![(one, 1), (new, 0)])?;
    same(counts(t.admit_with(&lease, 30, 10, care(0)).await?), vec![])?;
    same(counts(t.admit_with(&lease, 30, 10, care(1)).await?), vec![(two, 1)])
}

async fn runs_of_queues_that_were_left_go_to_those_who_serve_them(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let run = t.line_up("1", "").await?;
    let first = t.acquire("first", 10).await?;
    same(counts(t.admit(&first, 10, 10).await?), vec![(run, 0)])?;
    let other = t.acquire("other", 30).await?;
    let serves = vec![definition("other")?];
    let suspects = Suspects::default();
    let ask = AdmitAsk { lease: other.token, now: at(30), queue: queue()?, serves, limit: 10, suspects };
    same(counts(t.store.admit(ask).await?), vec![])?;
    same(counts(t.admit(&other, 30, 10).await?), vec![(run, 1)])
}
