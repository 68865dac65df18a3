//! Several who claim: no run is ever in two hands.

use std::collections::BTreeMap;

use fastn_core::{Error, ErrorKind, Result};
use fastn_store::{Batch, Lease, RunNo, Then, Write};

use crate::conformance::capability::Capability;
use crate::conformance::case::{Case, Flaw, Found, case, ensure, fails, same};
use crate::conformance::trial::Trial;
use crate::sample::{at, new_run};

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(claims_made_at_once_never_share_a_run),
    case!(two_claimers_never_share_a_run).needs(&[Capability::ManyLeases]),
    case!(many_claimers_at_once_never_share_a_run).needs(&[Capability::ManyLeases]),
    case!(an_expired_lease_loses_its_runs_to_others).needs(&[Capability::ManyLeases]),
    case!(a_release_frees_the_runs_of_that_lease_alone).needs(&[Capability::ManyLeases]),
];

/// Creates so many runs that nobody holds.
async fn create_many(t: &Trial, count: u32) -> Result<()> {
    let writes =
        (0..count).map(|n| Ok(Write::Create(new_run("t", &n.to_string(), "w")?.into()))).collect::<Result<_>>()?;
    t.store.commit(Batch { lease: None, now: at(0), writes }).await.map(drop)
}

/// Claims all runs with these leases at once, a few at a time, and counts how often each run was given to whom.
async fn claim_all(t: &Trial, leases: Vec<Lease>) -> std::result::Result<BTreeMap<RunNo, Vec<u64>>, Flaw> {
    let claimers: Vec<_> = leases
        .into_iter()
        .map(|lease| {
            let t = t.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                // A store that gives the same runs again and again must not hold up the suite.
                while mine.len() < 1_000 {
                    let page = t.claim_nos(&lease, 1, &["w"], 7).await?;
                    if page.is_empty() {
                        break;
                    }
                    mine.extend(page);
                    tokio::task::yield_now().await;
                }
                Ok::<_, Error>((lease.token, mine))
            })
        })
        .collect();
    let mut given: BTreeMap<RunNo, Vec<u64>> = BTreeMap::new();
    for claimer in claimers {
        let (token, mine) = claimer.await.map_err(Flaw::new)??;
        mine.into_iter().for_each(|no| given.entry(no).or_default().push(token));
    }
    Ok(given)
}

async fn claims_made_at_once_never_share_a_run(t: Trial) -> Found {
    create_many(&t, 300).await?;
    let lease = t.acquire("a", 0).await?;
    let given = claim_all(&t, vec![lease; 8]).await?;
    let shared = given.values().filter(|tokens| tokens.len() != 1).count();
    same((given.len(), shared), (300, 0))
}

async fn two_claimers_never_share_a_run(t: Trial) -> Found {
    create_many(&t, 10).await?;
    let (one, two) = (t.acquire("one", 0).await?, t.acquire("two", 0).await?);
    let first = t.claim_nos(&one, 1, &["w"], 4).await?;
    let rest = t.claim_nos(&two, 1, &["w"], 100).await?;
    ensure(rest.iter().all(|no| !first.contains(no)), "a run was given to both")?;
    same((first.len(), rest.len(), t.claim_nos(&one, 1, &["w"], 100).await?), (4, 6, vec![]))?;
    let [no, ..] = first.as_slice() else { return Err(Flaw::new("there is no first run")) };
    fails(t.turn(&two, *no, 0, 1, Then::Run).await, ErrorKind::Invalid)?;
    Ok(t.turn(&one, *no, 0, 1, Then::Run).await?)
}

async fn many_claimers_at_once_never_share_a_run(t: Trial) -> Found {
    create_many(&t, 300).await?;
    let mut leases = Vec::new();
    for n in 0..8 {
        leases.push(t.acquire(&format!("executor {n}"), 0).await?);
    }
    let given = claim_all(&t, leases).await?;
    let shared = given.values().filter(|tokens| tokens.len() != 1).count();
    same((given.len(), shared), (300, 0))
}

async fn an_expired_lease_loses_its_runs_to_others(t: Trial) -> Found {
    create_many(&t, 3).await?;
    let (one, two) = (t.acquire("one", 0).await?, t.acquire("two", 0).await?);
    let runs = t.claim_nos(&one, 1, &["w"], 3).await?;
    let [no, ..] = runs.as_slice() else { return Err(Flaw::new("there is no run")) };
    t.turn(&one, *no, 0, 1, Then::Run).await?;
    // The first stays away for too long, the second takes what it had.
    t.store.renew(&two, at(100)).await?;
    same(t.claim_nos(&two, 5, &["w"], 3).await?, vec![])?;
    same(t.claim_nos(&two, 60, &["w"], 3).await?, runs.clone())?;
    fails(t.turn(&one, *no, 1, 1, Then::Run).await, ErrorKind::Fenced)?;
    t.turn(&two, *no, 1, 1, Then::Run).await?;
    same(t.count("0").await?, 2)
}

async fn a_release_frees_the_runs_of_that_lease_alone(t: Trial) -> Found {
    create_many(&t, 4).await?;
    let (one, two) = (t.acquire("one", 0).await?, t.acquire("two", 0).await?);
    let first = t.claim_nos(&one, 1, &["w"], 2).await?;
    let second = t.claim_nos(&two, 1, &["w"], 2).await?;
    t.store.release(&one).await?;
    let three = t.acquire("three", 1).await?;
    same(t.claim_nos(&three, 1, &["w"], 10).await?, first)?;
    let [no, ..] = second.as_slice() else { return Err(Flaw::new("there is no run")) };
    Ok(t.turn(&two, *no, 0, 1, Then::Run).await?)
}
