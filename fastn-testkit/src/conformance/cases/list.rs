//! Listing runs.

use fastn_core::{Result, TenantId, WorkflowName};
use fastn_store::{RunNo, RunQuery, RunStatus, Then};

use crate::conformance::case::{Case, Found, case, ensure, same};
use crate::conformance::trial::Trial;
use crate::sample::{at, new_run, turn};

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(runs_are_listed_newest_first),
    case!(lists_are_filtered),
    case!(a_lease_finds_the_runs_that_it_has),
    case!(pages_follow_each_other),
    case!(a_list_shows_how_each_run_stands),
];

/// How many runs the cases list.
const COUNT: usize = 12;

/// Runs of tenants x, y and workflows a, b, c in turn: four have failed, two wait.
async fn twelve(t: &Trial) -> Result<Vec<RunNo>> {
    let lease = t.acquire("a", 0).await?;
    let mut runs = Vec::new();
    let kinds = ["x", "y"].into_iter().cycle().zip(["a", "b", "c"].into_iter().cycle());
    for (n, (tenant, workflow)) in kinds.take(COUNT).enumerate() {
        runs.push(t.create(Some(&lease), new_run(tenant, &n.to_string(), workflow)?).await?);
    }
    let ends = runs.iter().take(4).map(|no| turn(*no, 0, 1, Then::End(RunStatus::Failed)));
    let waits = runs.iter().skip(4).take(2).map(|no| turn(*no, 0, 1, Then::Wait(at(9))));
    t.commit(&lease, ends.chain(waits).collect::<Result<_>>()?).await?;
    Ok(runs)
}

/// The runs with these places, newest first.
fn chosen(runs: &[RunNo], wanted: impl Fn(usize) -> bool) -> Vec<RunNo> {
    runs.iter().enumerate().rev().filter(|(place, _)| wanted(*place)).map(|(_, no)| *no).collect()
}

async fn runs_are_listed_newest_first(t: Trial) -> Found {
    let runs = twelve(&t).await?;
    let page = t.store.list(RunQuery::default()).await?;
    same(page.runs.iter().map(|run| run.no).collect::<Vec<_>>(), chosen(&runs, |_| true))?;
    same(page.next, None)
}

async fn lists_are_filtered(t: Trial) -> Found {
    let runs = twelve(&t).await?;
    let tenant = TenantId::new("x").ok();
    let workflow = WorkflowName::new("a").ok();
    let none = RunQuery::default;
    let in_status = |status: &[RunStatus]| RunQuery { status: status.to_vec(), ..none() };
    let third = runs.get(2).copied();
    for limit in [0, 1, 5, 100, u32::MAX] {
        let list = async |query: RunQuery| t.list(RunQuery { limit, ..query }).await;
        same(list(RunQuery { tenant: tenant.clone(), ..none() }).await?, chosen(&runs, |n| n % 2 == 0))?;
        same(list(RunQuery { workflow: workflow.clone(), ..none() }).await?, chosen(&runs, |n| n % 3 == 0))?;
        let both = RunQuery { tenant: tenant.clone(), workflow: workflow.clone(), ..none() };
        same(list(both).await?, chosen(&runs, |n| n % 6 == 0))?;
        same(list(in_status(&[RunStatus::Waiting])).await?, chosen(&runs, |n| n == 4 || n == 5))?;
        same(list(in_status(&[RunStatus::Failed, RunStatus::Waiting])).await?, chosen(&runs, |n| n < 6))?;
        same(list(in_status(&[RunStatus::Stuck])).await?, vec![])?;
        same(list(RunQuery { before: third, ..none() }).await?, chosen(&runs, |n| n < 2))?;
        same(list(RunQuery { before: Some(RunNo(u64::MAX)), ..none() }).await?, chosen(&runs, |_| true))?;
        same(list(RunQuery { before: Some(RunNo(0)), ..none() }).await?, vec![])?;
    }
    Ok(())
}

async fn a_lease_finds_the_runs_that_it_has(t: Trial) -> Found {
    let (lease, held) = {
        let lease = t.acquire("a", 0).await?;
        let mut held = Vec::new();
        for n in 0..COUNT {
            held.push(t.create(Some(&lease), new_run("x", &n.to_string(), "a")?).await?);
        }
        (lease, held)
    };
    t.free("x", "free", "a").await?;
    let ends = held.iter().take(4).map(|no| turn(*no, 0, 1, Then::End(RunStatus::Succeeded)));
    let waits = held.iter().skip(4).take(2).map(|no| turn(*no, 0, 1, Then::Wait(at(9))));
    t.commit(&lease, ends.chain(waits).collect::<Result<_>>()?).await?;
    let of = |token: u64| RunQuery { holder: Some(token), ..RunQuery::default() };
    for limit in [0, 1, 5, 100] {
        same(t.list(RunQuery { limit, ..of(lease.token) }).await?, chosen(&held, |n| n >= 4))?;
    }
    let waiting = RunQuery { status: vec![RunStatus::Waiting], ..of(lease.token) };
    same(t.list(waiting).await?, chosen(&held, |n| n == 4 || n == 5))?;
    same(t.list(of(lease.token.wrapping_add(1))).await?, vec![])?;
    t.store.release(&lease).await?;
    same(t.list(of(lease.token)).await?, vec![])
}

async fn pages_follow_each_other(t: Trial) -> Found {
    let runs = twelve(&t).await?;
    for limit in [1, 2, 3, 5, 11, 12, 13] {
        same(t.list(RunQuery { limit, ..RunQuery::default() }).await?, chosen(&runs, |_| true))?;
    }
    // The last page is the last, also if it is full.
    let page = t.store.list(RunQuery { limit: 12, ..RunQuery::default() }).await?;
    same((page.runs.len(), page.next), (COUNT, None))?;
    let page = t.store.list(RunQuery { limit: 11, ..RunQuery::default() }).await?;
    ensure(page.next.is_some(), "there is another page")?;
    // A run that is created meanwhile is on no later page.
    t.free("x", "new", "a").await?;
    let rest = t.list(RunQuery { before: page.next, ..RunQuery::default() }).await?;
    same(rest, chosen(&runs, |n| n == 0))
}

async fn a_list_shows_how_each_run_stands(t: Trial) -> Found {
    twelve(&t).await?;
    let page = t.store.list(RunQuery::default()).await?;
    for run in page.runs {
        let read = t.store.read(&run.key).await?.map(|history| history.run);
        same(read, Some(run))?;
    }
    Ok(())
}
