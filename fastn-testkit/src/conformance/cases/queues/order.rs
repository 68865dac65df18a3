//! Who goes first.

use std::time::Duration;

use fastn_core::QueueKey;

use super::desk::waiting;
use crate::conformance::case::{Case, Found, case, same};
use crate::conformance::trial::Trial;

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(runs_go_in_the_order_in_which_they_came),
    case!(runs_go_by_priority_and_age),
    case!(a_run_is_not_admitted_before_its_delay_is_over),
    case!(keys_take_turns_by_their_weights),
    case!(a_key_that_comes_late_neither_catches_up_nor_waits),
];

async fn runs_go_in_the_order_in_which_they_came(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let mut runs = Vec::new();
    for n in 0..20 {
        runs.push(t.line_up_as(n / 3, waiting(&n.to_string(), &(n % 4).to_string())?).await?);
    }
    let lease = t.acquire("a", 0).await?;
    same(t.admit_nos(&lease, 30).await?, runs)
}

async fn runs_go_by_priority_and_age(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let mut runs = Vec::new();
    // A point is worth a minute: who came 100 s before beats one point, and not two.
    for (second, priority) in [(0, 0), (100, 1), (101, 2), (102, -3), (103, 2), (290, i16::MIN), (291, i16::MAX)] {
        let mut new = waiting(&second.to_string(), "")?;
        new.priority = priority;
        runs.push((second - i64::from(priority) * 60, t.line_up_as(second, new).await?));
    }
    runs.sort_unstable();
    let lease = t.acquire("a", 0).await?;
    same(t.admit_nos(&lease, 300).await?, runs.into_iter().map(|(_, no)| no).collect::<Vec<_>>())
}

async fn a_run_is_not_admitted_before_its_delay_is_over(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let mut late = waiting("late", "")?;
    late.delay = Duration::from_secs(30);
    late.priority = 9;
    let late = t.line_up_as(10, late).await?;
    let soon = t.line_up_as(11, waiting("soon", "")?).await?;
    let lease = t.acquire("a", 0).await?;
    let admitted = t.admit(&lease, 15, 10).await?;
    let nos: Vec<_> = admitted.runs.iter().map(|claim| claim.no).collect();
    same((nos, admitted.again_in), (vec![soon], Some(Duration::from_secs(25))))?;
    same(t.admit_nos(&lease, 39).await?, vec![])?;
    same(t.admit_nos(&lease, 40).await?, vec![late])
}

async fn keys_take_turns_by_their_weights(t: Trial) -> Found {
    t.rule(|rules| {
        rules.fair = true;
        rules.concurrency = Some(5);
        rules.weights.insert(QueueKey::of("gold"), 3);
    })
    .await?;
    for n in 0..30 {
        t.line_up(&format!("gold {n}"), "gold").await?;
    }
    for n in 0..10 {
        t.line_up(&format!("one {n}"), "one").await?;
        t.line_up(&format!("two {n}"), "two").await?;
    }
    let lease = t.acquire("a", 0).await?;
    let mut turns = [0_usize; 3];
    // As long as all have something to do, each five turns are shared as it was said.
    for _ in 0..5 {
        for claim in t.admit(&lease, 30, 100).await?.runs {
            let name = String::from_utf8_lossy(claim.history.input.bytes()).into_owned();
            let place = ["\"gold", "\"one", "\"two"].iter().position(|begin| name.starts_with(begin));
            if let Some(count) = place.and_then(|place| turns.get_mut(place)) {
                *count += 1;
            }
            t.finish(&lease, claim.no).await?;
        }
    }
    same(turns, [15, 5, 5])
}

async fn a_key_that_comes_late_neither_catches_up_nor_waits(t: Trial) -> Found {
    t.rule(|rules| {
        rules.fair = true;
        rules.concurrency = Some(1);
    })
    .await?;
    for n in 0..20 {
        t.line_up(&format!("a{n}"), "a").await?;
    }
    let lease = t.acquire("a", 0).await?;
    let mut names = String::new();
    for turn in 0..16 {
        if turn == 8 {
            for n in 0..10 {
                t.line_up(&format!("b{n}"), "b").await?;
            }
        }
        for claim in t.admit(&lease, 1, 100).await?.runs {
            names.extend(claim.history.input.bytes().get(1).map(|byte| char::from(*byte)));
            t.finish(&lease, claim.no).await?;
        }
    }
    let (before, after) = names.split_at(names.len().min(8));
    same(before, "aaaaaaaa")?;
    same((after.matches('a').count(), after.contains("aaa"), after.contains("bbb")), (4, false, false))
}
