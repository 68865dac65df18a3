//! Places that one run has at a time.

use std::time::Duration;

use fastn_core::{Payload, TenantId};
use fastn_store::{Enqueue, Once, WhenTaken, Written};

use super::desk::waiting;
use crate::conformance::case::{Case, Flaw, Found, case, ensure, same};
use crate::conformance::trial::Trial;
use crate::sample::{definition, key};

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(a_place_is_taken_once),
    case!(a_run_that_is_pushed_back_waits_anew_and_has_the_last_input),
    case!(a_run_that_was_admitted_is_not_pushed_back),
    case!(of_many_who_take_a_place_at_once_one_has_it),
];

fn once(name: &str, place: u8, taken: WhenTaken) -> fastn_core::Result<Enqueue> {
    Ok(Enqueue { once: Some(Once { id: [place; 16], taken }), ..waiting(name, "")? })
}

/// The run that has taken the place.
fn taken(written: &Written) -> Result<fastn_store::RunKey, Flaw> {
    match written {
        Written::Taken(taken) => Ok(taken.key.clone()),
        other => Err(Flaw::new(format_args!("the answer was {other:?}"))),
    }
}

async fn a_place_is_taken_once(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let first = t.line_up_as(0, once("1", 7, WhenTaken::Stay)?).await?;
    for name in ["2", "3"] {
        same(taken(&t.enqueue(1, once(name, 7, WhenTaken::Stay)?).await?)?, key("t", "1")?)?;
        ensure(!t.exists(name).await?, "it was created all the same")?;
    }
    // Its own repetition is that, and other places are free.
    ensure(matches!(t.enqueue(1, once("1", 7, WhenTaken::Stay)?).await?, Written::Exists(_)), "it is not known")?;
    t.line_up_as(1, once("4", 8, WhenTaken::Stay)?).await?;
    let mut other = once("5", 7, WhenTaken::Stay)?;
    other.new.key.tenant = TenantId::new("u").map_err(Flaw::new)?;
    t.line_up_as(1, other).await?;
    let lease = t.acquire("a", 0).await?;
    same(t.admit_nos(&lease, 2).await?.len(), 3)?;
    same(taken(&t.enqueue(3, once("6", 7, WhenTaken::Stay)?).await?)?, key("t", "1")?)?;
    t.finish(&lease, first).await?;
    let next = t.line_up_as(4, once("6", 7, WhenTaken::Stay)?).await?;
    same(t.admit_nos(&lease, 5).await?, vec![next])
}

async fn a_run_that_is_pushed_back_waits_anew_and_has_the_last_input(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let new = |name: &str, input: &str| {
        let mut new = once(name, 1, WhenTaken::PushBack(Duration::from_secs(25)))?;
        new.delay = Duration::from_secs(10);
        new.new.input = Payload::json(input.to_owned());
        Ok::<_, fastn_core::Error>(new)
    };
    let first = t.line_up_as(0, new("1", "1")?).await?;
    let lease = t.acquire("a", 0).await?;
    same(taken(&t.enqueue(9, new("2", "2")?).await?)?, key("t", "1")?)?;
    same(t.admit_nos(&lease, 18).await?, vec![])?;
    same(taken(&t.enqueue(18, new("3", "3")?).await?)?, key("t", "1")?)?;
    // No longer than was said since it came.
    same(t.admit(&lease, 20, 10).await?.again_in, Some(Duration::from_secs(5)))?;
    let admitted = t.admit(&lease, 25, 10).await?.runs;
    let inputs: Vec<_> = admitted.iter().map(|claim| (claim.no, claim.history.input.clone())).collect();
    same(inputs, vec![(first, Payload::json("3"))])
}

async fn a_run_that_was_admitted_is_not_pushed_back(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let most = WhenTaken::PushBack(Duration::from_secs(60));
    let first = t.line_up_as(0, once("1", 1, most)?).await?;
    let lease = t.acquire("a", 0).await?;
    same(t.admit_nos(&lease, 1).await?, vec![first])?;
    let second = t.line_up_as(2, once("2", 1, most)?).await?;
    let mut other = once("3", 1, most)?;
    other.new.definition = definition("other")?;
    t.line_up_as(3, other).await?;
    same(t.history("t", "1").await?.input, Payload::json("\"1\""))?;
    same(t.admit_nos(&lease, 4).await?, vec![second])
}

async fn of_many_who_take_a_place_at_once_one_has_it(t: Trial) -> Found {
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let t = t.clone();
            tokio::spawn(async move { t.enqueue(1, once(&n.to_string(), 1, WhenTaken::Stay)?).await })
        })
        .collect();
    let mut created = 0;
    for task in tasks {
        match task.await.map_err(Flaw::new)?? {
            Written::Created(_) => created += 1,
            Written::Taken(_) => {}
            other => return Err(Flaw::new(format_args!("the answer was {other:?}"))),
        }
    }
    same(created, 1)
}
