//! Counting the executors that died over a run.

use fastn_store::{Lease, RunNo, Suspects, Then};

use crate::conformance::case::{Case, Flaw, Found, case, same};
use crate::conformance::trial::Trial;

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(those_who_died_over_a_run_are_counted),
    case!(nobody_has_died_who_released_the_lease),
    case!(who_got_further_with_a_run_is_the_first_to_die_over_it),
    case!(nobody_dies_over_a_run_that_waits),
    case!(who_dies_over_one_run_does_not_die_over_others),
    case!(runs_that_may_kill_are_given_one_by_one),
];

/// One executor after the other, each of which dies in the end unless it releases its lease.
struct Lives {
    t: Trial,
    /// When the next one lives, so much later that the one before it has ended.
    now: i64,
}

/// How long a life is before the next one begins, in seconds: longer than a lease.
const LIFE: i64 = 20;

impl Lives {
    fn new(t: Trial) -> Self {
        Self { t, now: 0 }
    }

    /// The next one claims all that it can: each run with how many have died over it.
    async fn next(&mut self) -> fastn_core::Result<(fastn_store::Lease, Vec<(RunNo, u32)>)> {
        self.now += LIFE;
        let lease = self.t.acquire(&format!("executor {}", self.now / LIFE), self.now).await?;
        let mut claimed = Vec::new();
        loop {
            let more = self.t.claim(&lease, self.now, &["w"], 10).await?;
            if more.is_empty() {
                claimed.sort_unstable();
                return Ok((lease, claimed));
            }
            claimed.extend(more.iter().map(|claim| (claim.no, claim.deaths)));
        }
    }
}

async fn those_who_died_over_a_run_are_counted(t: Trial) -> Found {
    let mut lives = Lives::new(t.clone());
    let free = t.free("t", "free", "w").await?;
    let (first, claimed) = lives.next().await?;
    same(claimed, vec![(free, 0)])?;
    let (new, going) = (t.held(&first, "new").await?, t.held(&first, "going").await?);
    t.turn(&first, going, 0, 2, Then::Run).await?;
    for deaths in 1..=7 {
        let (_, claimed) = lives.next().await?;
        same(claimed, vec![(free, deaths), (new, deaths), (going, deaths)])?;
    }
    Ok(())
}

async fn nobody_has_died_who_released_the_lease(t: Trial) -> Found {
    let mut lives = Lives::new(t.clone());
    let (first, _) = lives.next().await?;
    let run = t.held(&first, "1").await?;
    same(lives.next().await?.1, vec![(run, 1)])?;
    let (released, claimed) = lives.next().await?;
    same(claimed, vec![(run, 2)])?;
    t.store.release(&released).await?;
    let (released, claimed) = lives.next().await?;
    same(claimed, vec![(run, 0)])?;
    t.store.release(&released).await?;
    same(lives.next().await?.1, vec![(run, 0)])?;
    same(lives.next().await?.1, vec![(run, 1)])?;
    same(lives.next().await?.1, vec![(run, 2)])
}

async fn who_got_further_with_a_run_is_the_first_to_die_over_it(t: Trial) -> Found {
    let mut lives = Lives::new(t.clone());
    let (first, _) = lives.next().await?;
    let run = t.held(&first, "1").await?;
    t.turn(&first, run, 0, 1, Then::Run).await?;
    same(lives.next().await?.1, vec![(run, 1)])?;
    let (lease, claimed) = lives.next().await?;
    same(claimed, vec![(run, 2)])?;
    t.turn(&lease, run, 1, 1, Then::Run).await?;
    same(lives.next().await?.1, vec![(run, 1)])?;
    let (lease, claimed) = lives.next().await?;
    same(claimed, vec![(run, 2)])?;
    t.turn(&lease, run, 2, 3, Then::Run).await?;
    t.turn(&lease, run, 5, 1, Then::Run).await?;
    same(lives.next().await?.1, vec![(run, 1)])
}

async fn nobody_dies_over_a_run_that_waits(t: Trial) -> Found {
    let mut lives = Lives::new(t.clone());
    let (first, _) = lives.next().await?;
    let run = t.held(&first, "1").await?;
    same(lives.next().await?.1, vec![(run, 1)])?;
    let (lease, _) = lives.next().await?;
    t.turn(&lease, run, 0, 1, Then::Wait(crate::sample::at(10_000))).await?;
    for _ in 0..3 {
        same(lives.next().await?.1, vec![(run, 0)])?;
    }
    let (lease, _) = lives.next().await?;
    t.turn(&lease, run, 1, 1, Then::Run).await?;
    same(lives.next().await?.1, vec![(run, 1)])?;
    same(lives.next().await?.1, vec![(run, 2)])
}

async fn who_dies_over_one_run_does_not_die_over_others(t: Trial) -> Found {
    let mut lives = Lives::new(t.clone());
    let (first, _) = lives.next().await?;
    let (bad, good) = (t.held(&first, "bad").await?, t.held(&first, "good").await?);
    for life in 0..4_u32 {
        let (lease, claimed) = lives.next().await?;
        same(claimed, vec![(bad, life + 1), (good, 1)])?;
        t.turn(&lease, good, u64::from(life), 1, Then::Run).await?;
    }
    let late = t.free("t", "late", "w").await?;
    same(lives.next().await?.1, vec![(bad, 5), (good, 1), (late, 0)])
}

async fn runs_that_may_kill_are_given_one_by_one(t: Trial) -> Found {
    let mut lives = Lives::new(t.clone());
    let (first, _) = lives.next().await?;
    let (mut runs, further) = (Vec::new(), t.held(&first, "further").await?);
    for name in ["1", "2", "3"] {
        runs.push(t.held(&first, name).await?);
    }
    let everything: Vec<_> = [further].iter().chain(&runs).map(|no| (*no, 1)).collect();
    let (lease, claimed) = lives.next().await?;
    same(claimed, everything)?;
    t.turn(&lease, further, 0, 1, Then::Run).await?;
    let ask = async |lease: &Lease, now, limit| {
        let claimed = t.claim_with(lease, now, &["w"], 10, Suspects { deaths: 2, limit }).await?;
        Ok::<_, fastn_core::Error>(claimed.iter().map(|claim| (claim.no, claim.deaths)).collect::<Vec<_>>())
    };
    let [one, two, three] = runs.as_slice() else { return Err(Flaw::new("there are three")) };
    let careful = t.acquire("careful", 60).await?;
    same(ask(&careful, 60, 1).await?, vec![(further, 1), (*one, 2)])?;
    same(ask(&careful, 60, 0).await?, vec![])?;
    t.turn(&careful, *one, 0, 1, Then::Run).await?;
    same(ask(&careful, 60, 1).await?, vec![(*two, 2)])?;
    // It dies over what it had; over the one that was left nobody does.
    let next = t.acquire("next", 80).await?;
    same(ask(&next, 80, 0).await?, vec![(*one, 1), (*two, 3)])?;
    let last = t.acquire("last", 100).await?;
    same(ask(&last, 100, 10).await?, vec![(further, 2), (*one, 2), (*two, 4), (*three, 2)])
}
