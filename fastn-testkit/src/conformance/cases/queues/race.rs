//! Several who admit at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastn_core::Error;
use fastn_store::{Batch, Lease, RunNo, Write};
use tokio::sync::Barrier;

use super::desk::waiting;
use crate::conformance::capability::Capability;
use crate::conformance::case::{Case, Flaw, Found, case, ensure, same};
use crate::conformance::trial::Trial;
use crate::sample::at;

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(who_admits_many_times_at_once_exceeds_no_limit),
    case!(many_who_admit_at_once_exceed_no_limit).needs(&[Capability::ManyLeases]),
];

const RUNS: u32 = 40;

/// Runs everything with these leases, and looks that there are never too many at a time. A run counts from before anybody
/// could have seen that it was admitted until after it has ended in truth.
async fn race(t: &Trial, leases: Vec<Lease>) -> Found {
    t.rule(|rules| {
        rules.concurrency = Some(5);
        rules.per_key = Some(2);
    })
    .await?;
    let writes = (0..RUNS).map(|n| Ok(Write::Enqueue(waiting(&n.to_string(), &(n % 3).to_string())?.into())));
    let writes = writes.collect::<fastn_core::Result<Vec<_>>>()?;
    t.store.commit(Batch { lease: None, now: at(0), writes }).await?;
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (done, given) = (Arc::new(AtomicUsize::new(0)), RUNS as usize);
    // Otherwise one may have done everything before the others begin.
    let gate = Arc::new(Barrier::new(leases.len()));
    let tasks: Vec<_> = leases
        .into_iter()
        .map(|lease| {
            let (t, gate) = (t.clone(), gate.clone());
            let (running, most, done) = (running.clone(), most.clone(), done.clone());
            tokio::spawn(async move {
                gate.wait().await;
                let mut mine: Vec<RunNo> = Vec::new();
                // A store that gives the same runs again and again must not hold up the suite.
                while done.load(Ordering::SeqCst) < given && mine.len() < 1_000 {
                    let admitted = t.admit_nos(&lease, 1).await?;
                    let now = running.fetch_add(admitted.len(), Ordering::SeqCst) + admitted.len();
                    most.fetch_max(now, Ordering::SeqCst);
                    for no in admitted {
                        tokio::task::yield_now().await;
                        running.fetch_sub(1, Ordering::SeqCst);
                        t.finish(&lease, no).await?;
                        done.fetch_add(1, Ordering::SeqCst);
                        mine.push(no);
                    }
                    tokio::task::yield_now().await;
                }
                Ok::<_, Error>(mine)
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.map_err(Flaw::new)??);
    }
    let most = most.load(Ordering::SeqCst);
    ensure(most <= 5, format_args!("{most} runs had a place at a time"))?;
    same((all.len(), all.iter().copied().collect::<BTreeSet<_>>().len()), (given, given))
}

async fn who_admits_many_times_at_once_exceeds_no_limit(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    race(&t, vec![lease; 4]).await
}

async fn many_who_admit_at_once_exceed_no_limit(t: Trial) -> Found {
    let mut leases = Vec::new();
    for n in 0..6 {
        leases.push(t.acquire(&format!("executor {n}"), 0).await?);
    }
    race(&t, leases).await
}
