//! Claiming runs.

use fastn_core::Result;
use fastn_store::{Batch, ClaimAsk, RunNo, RunStatus, Suspects, Then, Write};

use crate::conformance::case::{Case, Flaw, Found, case, ensure, same};
use crate::conformance::trial::Trial;
use crate::sample::{at, definition, new_run, record, turn};

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(runs_are_claimed_oldest_first),
    case!(only_served_runs_are_claimed),
    case!(claims_page_through_all_runs),
    case!(runs_created_without_a_lease_can_be_claimed),
    case!(a_released_run_is_claimed_with_its_records),
    case!(a_run_that_waits_is_claimed_with_its_time),
    case!(a_run_that_is_held_is_not_claimed_again),
];

async fn runs_are_claimed_oldest_first(t: Trial) -> Found {
    let mut runs = Vec::new();
    for name in ["c", "a", "d", "b", "e"] {
        runs.push(t.free(&format!("tenant {name}"), name, "w").await?);
    }
    let lease = t.acquire("x", 0).await?;
    same(t.claim_nos(&lease, 0, &["w"], 0).await?, vec![])?;
    let mut claimed = t.claim_nos(&lease, 0, &["w"], 2).await?;
    same(claimed.len(), 2)?;
    claimed.extend(t.claim_nos(&lease, 0, &["w"], 10).await?);
    same(claimed, runs)
}

async fn only_served_runs_are_claimed(t: Trial) -> Found {
    let a = t.free("t", "1", "a").await?;
    let b = t.free("u", "2", "b").await?;
    let c = t.free("t", "3", "c").await?;
    let lease = t.acquire("x", 0).await?;
    same(t.claim_nos(&lease, 0, &[], 10).await?, vec![])?;
    same(t.claim_nos(&lease, 0, &["d"], 10).await?, vec![])?;
    same(t.claim_nos(&lease, 0, &["b"], 10).await?, vec![b])?;
    let mut other_shape = definition("c")?;
    other_shape.shape.0 = [8; 32];
    let mut other_version = definition("c")?;
    other_version.version.0 = 2;
    let (serves, suspects) = (vec![other_shape, other_version], Suspects::default());
    let ask = ClaimAsk { lease: lease.token, now: at(0), serves, limit: 10, suspects };
    same(t.store.claim(ask).await?, vec![])?;
    same(t.claim_nos(&lease, 0, &["c", "a"], 10).await?, vec![a, c])
}

async fn claims_page_through_all_runs(t: Trial) -> Found {
    let create = |n: u32| {
        let name = n.to_string();
        Ok(Write::Create(new_run("t", &name, if name.ends_with('7') { "no" } else { "w" })?.into()))
    };
    let writes = (0..1_000).map(create).collect::<Result<_>>()?;
    t.store.commit(Batch { lease: None, now: at(0), writes }).await?;
    let lease = t.acquire("x", 0).await?;
    t.held(&lease, "mine").await?;
    let mut claimed: Vec<RunNo> = Vec::new();
    // A store that gives the same runs again and again must not hold up the suite.
    while claimed.len() < 2_000 {
        let page = t.claim_nos(&lease, 0, &["w"], 64).await?;
        ensure(page.len() <= 64, "it gave more than was asked for")?;
        if page.is_empty() {
            break;
        }
        claimed.extend(page);
    }
    same((claimed.len(), claimed.is_sorted()), (900, true))?;
    let later = t.free("t", "later", "w").await?;
    same(t.claim_nos(&lease, 0, &["w"], 64).await?, vec![later])
}

async fn runs_created_without_a_lease_can_be_claimed(t: Trial) -> Found {
    let no = t.free("t", "1", "w").await?;
    same(t.history("t", "1").await?.run.holder, None)?;
    let lease = t.acquire("a", 0).await?;
    let claimed = t.claim(&lease, 0, &["w"], 1).await?;
    let [claim] = claimed.as_slice() else { return Err(Flaw::new(format_args!("the answer was {claimed:?}"))) };
    same((claim.no, claim.history.run.holder), (no, Some(lease.token)))?;
    same(&claim.history, &t.history("t", "1").await?)?;
    Ok(t.turn(&lease, no, 0, 1, Then::Run).await?)
}

async fn a_released_run_is_claimed_with_its_records(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let (running, ended) = (t.held(&lease, "1").await?, t.held(&lease, "2").await?);
    let end = turn(ended, 0, 1, Then::End(RunStatus::Cancelled))?;
    t.commit(&lease, vec![turn(running, 0, 2, Then::Run)?, end]).await?;
    t.turn(&lease, running, 2, 2, Then::Run).await?;
    t.store.release(&lease).await?;
    let next = t.acquire("b", 1).await?;
    let claimed = t.claim(&next, 1, &["w"], 10).await?;
    let [claim] = claimed.as_slice() else { return Err(Flaw::new(format_args!("the answer was {claimed:?}"))) };
    same((claim.no, &claim.history.records), (running, &(0..4).map(record).collect::<Vec<_>>()))?;
    same(claim.history.run.holder, Some(next.token))?;
    t.turn(&next, running, 4, 1, Then::Run).await?;
    same(t.count("1").await?, 5)
}

async fn a_run_that_waits_is_claimed_with_its_time(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let no = t.held(&lease, "1").await?;
    t.turn(&lease, no, 0, 1, Then::Wait(at(50))).await?;
    t.store.release(&lease).await?;
    let next = t.acquire("b", 1).await?;
    // Long before its time, since whoever runs it keeps the time.
    let claimed = t.claim(&next, 1, &["w"], 10).await?;
    let [claim] = claimed.as_slice() else { return Err(Flaw::new(format_args!("the answer was {claimed:?}"))) };
    let run = &claim.history.run;
    same((run.no, run.status, run.wake_at), (no, RunStatus::Waiting, Some(at(50))))?;
    Ok(t.turn(&next, no, 1, 1, Then::Run).await?)
}

async fn a_run_that_is_held_is_not_claimed_again(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let (mine, free) = (t.held(&lease, "mine").await?, t.free("t", "free", "w").await?);
    same(t.claim_nos(&lease, 0, &["w"], 10).await?, vec![free])?;
    same(t.claim_nos(&lease, 0, &["w"], 10).await?, vec![])?;
    t.turn(&lease, mine, 0, 1, Then::Wait(at(1))).await?;
    // It is due, and is the lease's all the same.
    same(t.claim_nos(&lease, 5, &["w"], 10).await?, vec![])
}
