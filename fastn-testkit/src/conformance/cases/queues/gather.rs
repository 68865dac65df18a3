//! Items that become one run.

use std::time::Duration;

use fastn_core::{ContentType, ErrorKind, Payload, Result, TenantId};
use fastn_store::{Batch, Enqueue, Join, Lease, NewsAsk, Once, Rate, RunKey, RunNo, WhenTaken, Write, Written};

use super::desk::waiting;
use crate::conformance::case::{Case, Flaw, Found, case, ensure, fails, same};
use crate::conformance::trial::Trial;
use crate::sample::{at, definition, key};

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(items_become_one_run_in_the_order_in_which_they_came),
    case!(what_is_full_need_not_wait_and_takes_no_more),
    case!(a_list_takes_no_more_bytes_than_it_may),
    case!(an_item_is_there_once_for_as_long_as_its_run_is_kept),
    case!(nothing_joins_a_run_that_was_admitted),
    case!(what_gathers_is_withdrawn_with_its_items),
    case!(items_of_others_are_other_runs),
    case!(a_run_costs_what_its_items_cost_and_goes_by_the_first_of_them),
    case!(what_gathers_and_has_to_give_its_place_up_waits_no_longer),
    case!(what_is_no_json_is_no_item),
    case!(what_begins_to_gather_and_what_is_full_is_news),
    case!(of_many_items_that_come_at_once_each_is_in_one_run),
];

/// An item of place 1 that is known by its name, and waits for ten seconds at most.
fn item(name: &str, most: u32, bytes: u64) -> Result<Enqueue> {
    let mut id = [0; 16];
    id.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    let taken = WhenTaken::Join(Join { item: id, most, bytes });
    let mut new = waiting(name, "")?;
    new.once = Some(Once { id: [1; 16], taken });
    new.delay = Duration::from_secs(10);
    Ok(new)
}

fn some(name: &str) -> Result<Enqueue> {
    item(name, 100, 1_000)
}

fn list(items: &[&str]) -> Payload {
    let items: Vec<String> = items.iter().map(|item| format!("\"{item}\"")).collect();
    Payload::json(format!("[{}]", items.join(",")))
}

/// The run that an item has joined.
fn joined(written: &Written) -> std::result::Result<RunKey, Flaw> {
    match written {
        Written::Joined(key) => Ok((**key).clone()),
        other => Err(Flaw::new(format_args!("the answer was {other:?}"))),
    }
}

impl Trial {
    /// The runs that are admitted, and what they are given.
    async fn admit_lists(&self, lease: &Lease, now: i64) -> Result<Vec<(RunNo, Payload)>> {
        let admitted = self.admit(lease, now, 100).await?.runs;
        Ok(admitted.into_iter().map(|claim| (claim.no, claim.history.input)).collect())
    }
}

async fn items_become_one_run_in_the_order_in_which_they_came(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let first = t.line_up_as(0, some("c")?).await?;
    let lease = t.acquire("a", 0).await?;
    for (second, name) in [(1, "a"), (2, "d")] {
        same(joined(&t.enqueue(second, some(name)?).await?)?, key("t", "c")?)?;
        ensure(!t.exists(name).await?, "an item is no run of its own")?;
    }
    // In one batch, and under a lease as well as without one.
    let writes = vec![Write::Enqueue(some("b")?.into()), Write::Enqueue(some("e")?.into())];
    for written in t.write(Some(&lease), writes).await? {
        same(joined(&written)?, key("t", "c")?)?;
    }
    same(t.history("t", "c").await?.input, list(&["c", "a", "d", "b", "e"]))?;
    same(t.admit(&lease, 9, 10).await?.again_in, Some(Duration::from_secs(1)))?;
    same(t.admit_lists(&lease, 10).await?, vec![(first, list(&["c", "a", "d", "b", "e"]))])?;
    t.finish(&lease, first).await?;
    same(t.history("t", "c").await?.input, list(&["c", "a", "d", "b", "e"]))
}

async fn what_is_full_need_not_wait_and_takes_no_more(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let lease = t.acquire("a", 0).await?;
    let full = t.line_up_as(0, item("1", 2, 1_000)?).await?;
    same(t.admit_nos(&lease, 1).await?, vec![])?;
    joined(&t.enqueue(1, item("2", 2, 1_000)?).await?)?;
    let next = t.line_up_as(1, item("3", 2, 1_000)?).await?;
    same(t.admit_lists(&lease, 1).await?, vec![(full, list(&["1", "2"]))])?;
    // One that may have fewer closes what has as many.
    let small = t.line_up_as(2, item("4", 1, 1_000)?).await?;
    same(t.admit_lists(&lease, 2).await?, vec![(next, list(&["3"])), (small, list(&["4"]))])
}

async fn a_list_takes_no_more_bytes_than_it_may(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let lease = t.acquire("a", 0).await?;
    // `["a","b"]` has nine.
    let first = t.line_up_as(0, item("a", 9, 10)?).await?;
    joined(&t.enqueue(0, item("b", 9, 10)?).await?)?;
    same(t.admit_nos(&lease, 0).await?, vec![])?;
    let second = t.line_up_as(1, item("c", 9, 9)?).await?;
    same(t.admit_lists(&lease, 1).await?, vec![(first, list(&["a", "b"]))])?;
    joined(&t.enqueue(2, item("d", 9, 9)?).await?)?;
    same(t.admit_lists(&lease, 2).await?, vec![(second, list(&["c", "d"]))])?;
    // What is too large for any list is one by itself.
    let large = t.line_up_as(3, item("0123456789", 9, 9)?).await?;
    same(t.admit_lists(&lease, 3).await?, vec![(large, list(&["0123456789"]))])
}

async fn an_item_is_there_once_for_as_long_as_its_run_is_kept(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let lease = t.acquire("a", 0).await?;
    let first = t.line_up_as(0, some("1")?).await?;
    joined(&t.enqueue(0, some("2")?).await?)?;
    // By its id, whatever it is the second time, and whether or not its run gathers still.
    let again = async |second, name: &str| {
        let mut again = some(name)?;
        again.new = waiting("again", "")?.new;
        same(joined(&t.enqueue(second, again).await?)?, key("t", "1")?)?;
        ensure(!t.exists("again").await?, "a known item has become a run")
    };
    again(1, "1").await?;
    again(1, "2").await?;
    same(t.admit_lists(&lease, 10).await?, vec![(first, list(&["1", "2"]))])?;
    again(11, "2").await?;
    t.finish(&lease, first).await?;
    again(12, "1").await?;
    same(t.store.prune(at(1_000), 10).await?, 1)?;
    let next = t.line_up_as(1_000, some("2")?).await?;
    same(joined(&t.enqueue(1_001, some("1")?).await?)?, key("t", "2")?)?;
    same(t.admit_lists(&lease, 1_010).await?, vec![(next, list(&["2", "1"]))])
}

async fn nothing_joins_a_run_that_was_admitted(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let lease = t.acquire("a", 0).await?;
    let first = t.line_up_as(0, some("1")?).await?;
    same(t.admit_lists(&lease, 10).await?, vec![(first, list(&["1"]))])?;
    let second = t.line_up_as(10, some("2")?).await?;
    joined(&t.enqueue(11, some("3")?).await?)?;
    // Its executor is gone, and it is admitted once more: it is what it was.
    t.store.release(&lease).await?;
    let lease = t.acquire("b", 12).await?;
    same(t.admit_lists(&lease, 12).await?, vec![(first, list(&["1"]))])?;
    joined(&t.enqueue(13, some("4")?).await?)?;
    same(t.admit_lists(&lease, 20).await?, vec![(second, list(&["2", "3", "4"]))])?;
    same(t.history("t", "1").await?.input, list(&["1"]))
}

async fn what_gathers_is_withdrawn_with_its_items(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let lease = t.acquire("a", 0).await?;
    t.line_up_as(0, some("1")?).await?;
    joined(&t.enqueue(0, some("2")?).await?)?;
    ensure(t.withdraw("1").await?, "it waits, and is not withdrawn")?;
    same(t.history("t", "1").await?.input, list(&["1", "2"]))?;
    let next = t.line_up_as(1, some("3")?).await?;
    same(t.admit_lists(&lease, 11).await?, vec![(next, list(&["3"]))])
}

async fn items_of_others_are_other_runs(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let lease = t.acquire("a", 0).await?;
    let first = t.line_up_as(0, some("1")?).await?;
    let mut stranger = some("1")?;
    stranger.new.key.tenant = TenantId::new("u").map_err(Flaw::new)?;
    let strangers = t.line_up_as(0, stranger).await?;
    let mut elsewhere = some("2")?;
    elsewhere.once = elsewhere.once.map(|once| Once { id: [2; 16], ..once });
    let elsewhere = t.line_up_as(0, elsewhere).await?;
    // One of another workflow, or that is pushed back, is no item of it, and it waits for no more.
    let mut other = some("3")?;
    other.new.definition = definition("other")?;
    t.line_up_as(1, other).await?;
    same(t.admit_lists(&lease, 1).await?, vec![(first, list(&["1"]))])?;
    let last = t.line_up_as(2, some("4")?).await?;
    let mut pushed = some("5")?;
    pushed.once = Some(Once { id: [1; 16], taken: WhenTaken::PushBack(Duration::from_secs(60)) });
    pushed.delay = Duration::ZERO;
    let pushed = t.line_up_as(3, pushed).await?;
    let expected = vec![
        (last, list(&["4"])),
        (pushed, Payload::json("\"5\"")),
        (strangers, list(&["1"])),
        (elsewhere, list(&["2"])),
    ];
    same([t.admit_lists(&lease, 3).await?, t.admit_lists(&lease, 12).await?].concat(), expected)
}

async fn a_run_costs_what_its_items_cost_and_goes_by_the_first_of_them(t: Trial) -> Found {
    t.rule(|rules| rules.rate = Some(Rate::fixed(10, Duration::from_secs(100)))).await?;
    let lease = t.acquire("a", 0).await?;
    let of =
        |name: &str, cost: u32, priority: i16| Ok::<_, fastn_core::Error>(Enqueue { cost, priority, ..some(name)? });
    let run = t.line_up_as(0, of("1", 3, 0)?).await?;
    joined(&t.enqueue(0, of("2", 4, 2)?).await?)?;
    joined(&t.enqueue(0, of("3", 1, -5)?).await?)?;
    let mut one = waiting("one", "")?;
    (one.priority, one.cost) = (1, 3);
    let one = t.line_up_as(9, one).await?;
    // Eight of ten are taken by what has the larger priority, and three do not fit.
    same(t.admit_lists(&lease, 10).await?, vec![(run, list(&["1", "2", "3"]))])?;
    same(t.admit_nos(&lease, 99).await?, vec![])?;
    same(t.admit_nos(&lease, 100).await?, vec![one])
}

async fn what_gathers_and_has_to_give_its_place_up_waits_no_longer(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let lease = t.acquire("a", 0).await?;
    let gathers = t.line_up_as(0, some("1")?).await?;
    joined(&t.enqueue(1, some("2")?).await?)?;
    // A run that is not gathered takes the place over, and is ready later.
    let mut pushes = waiting("3", "")?;
    pushes.once = Some(Once { id: [1; 16], taken: WhenTaken::PushBack(Duration::from_secs(60)) });
    pushes.delay = Duration::from_secs(20);
    let pushes = t.line_up_as(2, pushes).await?;
    same(t.admit_lists(&lease, 2).await?, vec![(gathers, list(&["1", "2"]))])?;
    // And what comes now gathers in a run of its own.
    let next = t.line_up_as(3, some("4")?).await?;
    same(t.admit_nos(&lease, 12).await?, vec![])?;
    same(t.admit_nos(&lease, 13).await?, vec![next])?;
    same(t.admit_nos(&lease, 22).await?, vec![pushes])
}

async fn what_is_no_json_is_no_item(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    t.line_up_as(0, some("1")?).await?;
    for input in [Payload::json("1, 2"), Payload::json(""), Payload::new(ContentType::Bytes, "2")] {
        let mut wrong = some("2")?;
        wrong.new.input = input;
        let writes = vec![Write::Enqueue(some("3")?.into()), Write::Enqueue(wrong.into())];
        fails(t.store.commit(Batch { lease: None, now: at(1), writes }).await, ErrorKind::Invalid)?;
    }
    same(t.history("t", "1").await?.input, list(&["1"]))
}

async fn what_begins_to_gather_and_what_is_full_is_news(t: Trial) -> Found {
    t.rule(|_| ()).await?;
    let mut since = t.store.news(NewsAsk::default()).await?;
    for name in ["1", "3"] {
        t.enqueue(0, item(name, 3, 1_000)?).await?;
        if name == "1" {
            joined(&t.enqueue(0, item("2", 3, 1_000)?).await?)?;
        }
        let before = since;
        while since.queues == before.queues {
            since = t.store.news(NewsAsk { since, ends: false }).await?;
        }
    }
    Ok(())
}

async fn of_many_items_that_come_at_once_each_is_in_one_run(t: Trial) -> Found {
    const EACH: i64 = 12;
    t.rule(|_| ()).await?;
    let lease = t.acquire("a", 0).await?;
    // Each comes from two at once, as one does whose first answer was lost.
    let tasks: Vec<_> = (0..6)
        .map(|n| {
            let t = t.clone();
            tokio::spawn(async move {
                let mut runs = Vec::new();
                for second in 0..EACH {
                    let mut new = item(&format!("{} {second}", n / 2), 5, 1_000)?;
                    new.new.key = key("t", &format!("{n} {second}"))?;
                    let run = new.new.key.clone();
                    runs.push(match t.enqueue(second, new).await? {
                        Written::Created(_) => run,
                        written => joined(&written)?,
                    });
                }
                Ok::<_, Flaw>(runs)
            })
        })
        .collect();
    let (mut lists, mut told) = (Vec::new(), Vec::new());
    for task in tasks {
        lists.extend(t.admit_lists(&lease, EACH).await?);
        told.push(task.await.map_err(Flaw::new)??);
    }
    lists.extend(t.admit_lists(&lease, EACH + 10).await?);
    let mut items = Vec::new();
    for (_, list) in &lists {
        let list: Vec<String> = list.decode()?;
        ensure(list.len() <= 5, "there are more in it than may be")?;
        items.extend(list);
    }
    items.sort();
    let mut all: Vec<String> = (0..3).flat_map(|n| (0..EACH).map(move |second| format!("{n} {second}"))).collect();
    all.sort();
    same(items, all)?;
    for (n, pair) in told.chunks(2).enumerate() {
        ensure(pair.first() == pair.last(), format_args!("the two who added items {n} were told of different runs"))?;
    }
    Ok(())
}
