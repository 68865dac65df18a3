//! How much in a span of time.

use std::time::Duration;

use fastn_store::Rate;

use super::desk::waiting;
use crate::conformance::case::{Case, Found, case, same};
use crate::conformance::trial::Trial;

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(a_fixed_window_admits_its_quota),
    case!(every_window_admits_its_quota_at_most),
    case!(a_rate_goes_by_cost),
    case!(each_key_has_a_rate_of_its_own),
    case!(a_clock_that_is_set_back_allows_nothing_too_early_and_holds_up_for_one_window),
];

const MINUTE: Duration = Duration::from_secs(60);

async fn line_up(t: &Trial, count: u32) -> Found {
    for n in 0..count {
        t.line_up(&n.to_string(), "").await?;
    }
    Ok(())
}

/// Admits at this second: how many, and after how many seconds to look again.
async fn admit(t: &Trial, lease: &fastn_store::Lease, now: i64) -> fastn_core::Result<(usize, Option<u64>)> {
    let admitted = t.admit(lease, now, 100).await?;
    Ok((admitted.runs.len(), admitted.again_in.map(|span| span.as_secs())))
}

async fn a_fixed_window_admits_its_quota(t: Trial) -> Found {
    t.rule(|rules| rules.rate = Some(Rate::fixed(3, MINUTE))).await?;
    line_up(&t, 8).await?;
    let lease = t.acquire("a", 0).await?;
    same(admit(&t, &lease, 50).await?, (3, Some(10)))?;
    same(admit(&t, &lease, 59).await?, (0, Some(1)))?;
    same(admit(&t, &lease, 60).await?, (3, Some(60)))?;
    same(admit(&t, &lease, 119).await?, (0, Some(1)))?;
    same(admit(&t, &lease, 180).await?, (2, None))
}

async fn every_window_admits_its_quota_at_most(t: Trial) -> Found {
    t.rule(|rules| rules.rate = Some(Rate::sliding(3, MINUTE))).await?;
    line_up(&t, 3).await?;
    let lease = t.acquire("a", 0).await?;
    same(admit(&t, &lease, 50).await?, (3, None))?;
    for n in 3..8 {
        t.line_up(&n.to_string(), "").await?;
    }
    same(admit(&t, &lease, 60).await?, (0, Some(50)))?;
    same(admit(&t, &lease, 109).await?, (0, Some(1)))?;
    same(admit(&t, &lease, 110).await?, (3, Some(60)))?;
    same(admit(&t, &lease, 170).await?, (2, None))
}

async fn a_rate_goes_by_cost(t: Trial) -> Found {
    t.rule(|rules| rules.rate = Some(Rate::sliding(10, MINUTE))).await?;
    // What costs more than there is ever takes all of it.
    for (second, cost) in [(0, 6), (1, 4), (2, 5), (3, 500), (4, 1)] {
        let mut new = waiting(&second.to_string(), "")?;
        new.cost = cost;
        t.line_up_as(second, new).await?;
    }
    let lease = t.acquire("a", 0).await?;
    same(admit(&t, &lease, 10).await?, (2, Some(60)))?;
    // What is first waits until there is room for all that it costs, and nothing goes before it.
    same(admit(&t, &lease, 70).await?, (1, Some(60)))?;
    same(admit(&t, &lease, 100).await?, (0, Some(30)))?;
    same(admit(&t, &lease, 130).await?, (1, Some(60)))?;
    same(admit(&t, &lease, 190).await?, (1, None))
}

async fn each_key_has_a_rate_of_its_own(t: Trial) -> Found {
    t.rule(|rules| rules.rate_per_key = Some(Rate::sliding(1, MINUTE))).await?;
    for n in 0..6 {
        t.line_up(&n.to_string(), if n < 4 { "a" } else { "b" }).await?;
    }
    let lease = t.acquire("a", 0).await?;
    same(admit(&t, &lease, 10).await?, (2, Some(60)))?;
    t.line_up("7", "c").await?;
    same(admit(&t, &lease, 20).await?, (1, Some(50)))?;
    same(admit(&t, &lease, 70).await?, (2, Some(60)))?;
    same(admit(&t, &lease, 130).await?, (1, Some(60)))?;
    same(admit(&t, &lease, 200).await?, (1, None))
}

async fn a_clock_that_is_set_back_allows_nothing_too_early_and_holds_up_for_one_window(t: Trial) -> Found {
    for (place, rate) in [Rate::sliding(1, MINUTE), Rate::fixed(1, MINUTE)].into_iter().enumerate() {
        t.rule(|rules| rules.rate_per_key = Some(rate)).await?;
        for n in 0..2 {
            t.line_up(&format!("{place} {n}"), &place.to_string()).await?;
        }
        let lease = t.acquire("a", 0).await?;
        same(admit(&t, &lease, 6_000).await?.0, 1)?;
        same(admit(&t, &lease, 0).await?, (0, Some(60)))?;
        same(admit(&t, &lease, 59).await?.0, 0)?;
        t.store.release(&lease).await?;
        let lease = t.acquire("b", 60).await?;
        // The first one is admitted again, since its lease has ended.
        let admitted = t.admit(&lease, 119, 100).await?.runs;
        same(admitted.len(), 2)?;
        for claim in admitted {
            t.finish(&lease, claim.no).await?;
        }
        t.store.release(&lease).await?;
    }
    Ok(())
}
