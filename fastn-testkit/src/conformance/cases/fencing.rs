//! Leases: who may write, and that nobody else does.

use fastn_core::{ErrorKind, Result};
use fastn_store::{Batch, Lease, RunStatus, Then, Write};

use crate::conformance::capability::Capability;
use crate::conformance::case::{Case, Found, case, ensure, fails, same};
use crate::conformance::trial::Trial;
use crate::sample::{at, new_run, turn};

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(what_a_store_is_said_to_lack_it_lacks),
    case!(every_lease_has_a_larger_token_than_those_before),
    case!(a_released_lease_writes_nothing),
    case!(an_expired_lease_is_fenced_once_another_claims),
    case!(a_renewed_lease_is_no_less_in_force),
    case!(a_lease_that_never_was_writes_nothing),
    case!(a_fenced_batch_leaves_nothing),
    case!(turns_of_runs_that_are_not_held_are_refused),
    case!(turns_need_a_lease),
];

async fn what_a_store_is_said_to_lack_it_lacks(t: Trial) -> Found {
    let one = t.acquire("one", 0).await?;
    let two = t.acquire("two", 1).await;
    if t.lacks.contains(&Capability::ManyLeases) {
        ensure(two.is_err(), "it was said to be without many leases, but gave a second one")?;
        fails(two, ErrorKind::Locked)
    } else {
        let said = "it gave no second lease: say `.without(Capability::ManyLeases)` if that is so";
        ensure(two.is_ok(), said)?;
        Ok(t.store.renew(&one, at(99)).await?)
    }
}

async fn every_lease_has_a_larger_token_than_those_before(t: Trial) -> Found {
    let mut last = 0;
    for n in 0..5_i64 {
        let lease = t.acquire("a", n).await?;
        ensure(lease.token > last, format_args!("token {} came after {last}", lease.token))?;
        same((lease.executor.as_str(), lease.until), ("a", at(n.saturating_add(crate::sample::TTL))))?;
        last = lease.token;
        t.store.release(&lease).await?;
    }
    Ok(())
}

/// Whatever one would do under this lease, it is fenced.
async fn writes_nothing(t: &Trial, lease: &Lease) -> Found {
    let before = t.count("1").await?;
    let no = t.history("t", "1").await?.run.no;
    fails(t.turn(lease, no, before as u64, 1, Then::Run).await, ErrorKind::Fenced)?;
    fails(t.turn(lease, no, before as u64, 1, Then::End(RunStatus::Failed)).await, ErrorKind::Fenced)?;
    fails(t.create(Some(lease), new_run("t", "late", "w")?).await, ErrorKind::Fenced)?;
    fails(t.claim_nos(lease, 1, &["w"], 10).await, ErrorKind::Fenced)?;
    fails(t.store.renew(lease, at(99)).await, ErrorKind::Fenced)?;
    same((t.count("1").await?, t.exists("late").await?), (before, false))
}

async fn a_released_lease_writes_nothing(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let no = t.held(&lease, "1").await?;
    t.store.release(&lease).await?;
    t.store.release(&lease).await?;
    writes_nothing(&t, &lease).await?;
    same(t.history("t", "1").await?.run.holder, None)?;
    let next = t.acquire("b", 1).await?;
    same(t.claim_nos(&next, 1, &["w"], 10).await?, vec![no])?;
    writes_nothing(&t, &lease).await?;
    // Ending it once more does nothing to those after it.
    t.store.release(&lease).await?;
    t.turn(&next, no, 0, 1, Then::Run).await?;
    same(t.count("1").await?, 1)
}

async fn an_expired_lease_is_fenced_once_another_claims(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let no = t.held(&lease, "1").await?;
    t.turn(&lease, no, 0, 3, Then::Run).await?;
    let next = t.acquire("b", 60).await?;
    same(t.claim_nos(&next, 60, &["w"], 10).await?, vec![no])?;
    writes_nothing(&t, &lease).await?;
    t.turn(&next, no, 3, 1, Then::Run).await?;
    same(t.count("1").await?, 4)
}

async fn a_renewed_lease_is_no_less_in_force(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let no = t.held(&lease, "1").await?;
    t.store.renew(&lease, at(100)).await?;
    if let Ok(other) = t.acquire("b", 60).await {
        same(t.claim_nos(&other, 60, &["w"], 10).await?, vec![])?;
    }
    Ok(t.turn(&lease, no, 0, 1, Then::Run).await?)
}

async fn a_lease_that_never_was_writes_nothing(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    t.held(&lease, "1").await?;
    for token in [0, lease.token.saturating_add(1), u64::MAX] {
        writes_nothing(&t, &Lease { token, ..lease.clone() }).await?;
    }
    Ok(())
}

async fn a_fenced_batch_leaves_nothing(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let no = t.held(&lease, "1").await?;
    t.turn(&lease, no, 0, 1, Then::Run).await?;
    t.store.release(&lease).await?;
    // Not even its part that was written before.
    let known = turn(no, 0, 1, Then::Run)?;
    let writes = vec![
        Write::Create(new_run("t", "2", "w")?.into()),
        Write::Turn(known),
        Write::Create(new_run("u", "1", "w")?.into()),
    ];
    fails(t.write(Some(&lease), writes).await, ErrorKind::Fenced)?;
    same((t.exists("2").await?, t.count("1").await?), (false, 1))
}

/// Gives a run that is in nobody's hands, and a lease.
async fn free_run(t: &Trial) -> Result<(Lease, fastn_store::RunNo)> {
    let free = t.free("t", "1", "w").await?;
    Ok((t.acquire("a", 0).await?, free))
}

async fn turns_of_runs_that_are_not_held_are_refused(t: Trial) -> Found {
    let (lease, free) = free_run(&t).await?;
    fails(t.turn(&lease, free, 0, 1, Then::Run).await, ErrorKind::Invalid)?;
    same(t.count("1").await?, 0)?;
    same(t.claim_nos(&lease, 0, &["w"], 1).await?, vec![free])?;
    Ok(t.turn(&lease, free, 0, 1, Then::Run).await?)
}

async fn turns_need_a_lease(t: Trial) -> Found {
    let (lease, free) = free_run(&t).await?;
    let held = t.held(&lease, "2").await?;
    for no in [free, held] {
        let unleased = Batch { lease: None, now: at(1), writes: vec![Write::Turn(turn(no, 0, 1, Then::Run)?)] };
        fails(t.store.commit(unleased).await, ErrorKind::Invalid)?;
    }
    same((t.count("1").await?, t.count("2").await?), (0, 0))
}
