//! Creating runs.

use fastn_core::{Payload, Result};
use fastn_store::{NewRun, RunStatus, Then, Write, Written};

use crate::conformance::case::{Case, Flaw, Found, case, same};
use crate::conformance::trial::Trial;
use crate::sample::{at, definition, key, new_run};

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(a_new_run_is_created_once),
    case!(a_run_that_exists_is_shown_to_whoever_creates_it_again),
    case!(numbers_of_runs_grow_with_their_creation),
    case!(the_plan_of_a_definition_is_that_of_its_first_run),
    case!(a_plan_that_comes_with_a_later_run_is_kept),
    case!(the_plan_of_a_run_that_was_not_created_is_not_kept),
    case!(tenants_do_not_see_each_other),
    case!(runs_of_one_id_that_are_started_at_once_become_one),
];

async fn a_new_run_is_created_once(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let first = t.held(&lease, "1").await?;
    let history = t.history("t", "1").await?;
    same((history.run.no, history.run.status, history.run.holder), (first, RunStatus::Running, Some(lease.token)))?;
    same((history.run.created_at, history.run.finished_at, history.run.wake_at), (at(1), None, None))?;
    same((&history.run.key, &history.run.definition), (&key("t", "1")?, &definition("w")?))?;
    same((&history.input, history.records.len(), history.outcome()), (&Payload::json("\"1\""), 0, None))?;
    same(t.exists("2").await?, false)
}

async fn a_run_that_exists_is_shown_to_whoever_creates_it_again(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let no = t.held(&lease, "1").await?;
    t.turn(&lease, no, 0, 2, Then::Run).await?;
    let other = NewRun { input: Payload::json("[]"), definition: definition("other")?, ..new_run("t", "1", "w")? };
    let (new, again) = (new_run("t", "2", "w")?, new_run("t", "2", "w")?);
    let written = t
        .write(Some(&lease), vec![Write::Create(other.into()), Write::Create(new.into()), Write::Create(again.into())])
        .await?;
    let [Written::Exists(old), Written::Created(second), Written::Exists(young)] = written.as_slice() else {
        return Err(Flaw::new(format_args!("the answer was {written:?}")));
    };
    same((old.no, old.status), (no, RunStatus::Running))?;
    same((&old.definition, &old.input), (&definition("w")?, &Payload::json("\"1\"")))?;
    same((young.no, young.status), (*second, RunStatus::Running))?;
    let history = t.history("t", "1").await?;
    same((&history.input, history.records.len()), (&Payload::json("\"1\""), 2))
}

async fn numbers_of_runs_grow_with_their_creation(t: Trial) -> Found {
    let names: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let writes = names.iter().map(|name| Ok(Write::Create(new_run("t", name, "w")?.into()))).collect::<Result<_>>()?;
    let written = t.write(None, writes).await?;
    let last = t.free("t", "last", "w").await?;
    let mut before = None;
    for (name, written) in names.iter().zip(&written) {
        let Written::Created(no) = written else { return Err(Flaw::new(format_args!("{name}: {written:?}"))) };
        same((before < Some(*no), *no < last), (true, true))?;
        same(t.history("t", name).await?.run.no, *no)?;
        before = Some(*no);
    }
    same(written.len(), names.len())
}

async fn the_plan_of_a_definition_is_that_of_its_first_run(t: Trial) -> Found {
    same(t.store.plan(&key("t", "1")?.tenant, &definition("w")?).await?, None)?;
    t.free("t", "1", "w").await?;
    t.create(None, NewRun { plan: Some("another".into()), ..new_run("t", "2", "w")? }).await?;
    let plan = t.store.plan(&key("t", "1")?.tenant, &definition("w")?).await?;
    same(plan.as_deref(), Some("the plan of w"))?;
    same(t.store.plan(&key("other", "1")?.tenant, &definition("w")?).await?, None)?;
    same(t.store.plan(&key("t", "1")?.tenant, &definition("v")?).await?, None)
}

async fn a_plan_that_comes_with_a_later_run_is_kept(t: Trial) -> Found {
    t.create(None, NewRun { plan: None, ..new_run("t", "1", "w")? }).await?;
    t.free("t", "2", "w").await?;
    let plan = t.store.plan(&key("t", "1")?.tenant, &definition("w")?).await?;
    same(plan.as_deref(), Some("the plan of w"))
}

async fn the_plan_of_a_run_that_was_not_created_is_not_kept(t: Trial) -> Found {
    t.free("t", "1", "w").await?;
    t.write(None, vec![Write::Create(new_run("t", "1", "other")?.into())]).await?;
    same(t.store.plan(&key("t", "1")?.tenant, &definition("other")?).await?, None)
}

async fn tenants_do_not_see_each_other(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let one = t.create(Some(&lease), new_run("x", "same", "w")?).await?;
    same(t.store.read(&key("y", "same")?).await?, None)?;
    let two = t.create(Some(&lease), new_run("y", "same", "w")?).await?;
    same(one == two, false)?;
    t.turn(&lease, one, 0, 2, Then::Run).await?;
    same(t.history("x", "same").await?.records.len(), 2)?;
    same(t.history("y", "same").await?.records.len(), 0)
}

async fn runs_of_one_id_that_are_started_at_once_become_one(t: Trial) -> Found {
    let create = |_| {
        let t = t.clone();
        tokio::spawn(async move { t.write(None, vec![Write::Create(new_run("t", "same", "w")?.into())]).await })
    };
    let starts: Vec<_> = (0..16).map(create).collect();
    let (mut created, mut numbers) = (0, Vec::new());
    for start in starts {
        let written = start.await.map_err(Flaw::new)??;
        match written.as_slice() {
            [Written::Created(no)] => {
                created += 1;
                numbers.push(*no);
            }
            [Written::Exists(existing)] => numbers.push(existing.no),
            other => return Err(Flaw::new(format_args!("the answer was {other:?}"))),
        }
    }
    numbers.dedup();
    same((created, numbers), (1, vec![t.history("t", "same").await?.run.no]))
}
