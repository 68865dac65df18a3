//! Deleting what has long ended.

use fastn_core::Result;
use fastn_store::{Batch, Lease, RunNo, RunQuery, RunStatus, Then, Write};

use crate::conformance::case::{Case, Found, case, same};
use crate::conformance::trial::Trial;
use crate::sample::{at, turn};

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(old_runs_are_pruned_and_no_others),
    case!(no_more_runs_are_pruned_than_was_said),
    case!(what_is_not_over_is_never_pruned),
    case!(numbers_of_pruned_runs_do_not_come_back),
];

/// A run that has ended at this time.
async fn ended(t: &Trial, lease: &Lease, name: &str, when: i64) -> Result<RunNo> {
    let no = t.held(lease, name).await?;
    let writes = vec![Write::Turn(turn(no, 0, 1, Then::End(RunStatus::Failed))?)];
    t.store.commit(Batch { lease: Some(lease.token), now: at(when), writes }).await?;
    Ok(no)
}

async fn old_runs_are_pruned_and_no_others(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let late = ended(&t, &lease, "late", 100).await?;
    ended(&t, &lease, "early", 50).await?;
    ended(&t, &lease, "earlier", 49).await?;
    same(t.store.prune(at(49), 10).await?, 0)?;
    same(t.store.prune(at(50), 10).await?, 1)?;
    same((t.exists("earlier").await?, t.exists("early").await?), (false, true))?;
    same(t.store.prune(at(100), 10).await?, 1)?;
    same(t.list(RunQuery::default()).await?, vec![late])?;
    same((t.exists("early").await?, t.count("late").await?), (false, 1))
}

async fn no_more_runs_are_pruned_than_was_said(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    for n in 0..5_i64 {
        ended(&t, &lease, &n.to_string(), n).await?;
    }
    same(t.store.prune(at(1_000), 0).await?, 0)?;
    same(t.store.prune(at(1_000), 3).await?, 3)?;
    same(t.list(RunQuery::default()).await?.len(), 2)?;
    same(t.store.prune(at(1_000), 3).await?, 2)?;
    same(t.store.prune(at(1_000), 3).await?, 0)
}

async fn what_is_not_over_is_never_pruned(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let (pending, running, waiting) =
        (t.held(&lease, "1").await?, t.held(&lease, "2").await?, t.held(&lease, "3").await?);
    t.commit(&lease, vec![turn(running, 0, 2, Then::Run)?, turn(waiting, 0, 1, Then::Wait(at(2)))?]).await?;
    same(t.store.prune(at(1_000_000), 10).await?, 0)?;
    same(t.list(RunQuery::default()).await?, vec![waiting, running, pending])?;
    Ok(t.turn(&lease, running, 2, 1, Then::Run).await?)
}

async fn numbers_of_pruned_runs_do_not_come_back(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let old = ended(&t, &lease, "1", 5).await?;
    same(t.store.prune(at(1_000), 10).await?, 1)?;
    // What was deleted can be created again, and is another run.
    let new = t.held(&lease, "1").await?;
    same((new > old, t.count("1").await?), (true, 0))?;
    Ok(t.turn(&lease, new, 0, 1, Then::Run).await?)
}
