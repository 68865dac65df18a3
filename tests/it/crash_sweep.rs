//! Workflows whose process dies before and after every store call: what is promised of them is kept.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fastn::core::{BoxFuture, By, Decision, Event, Record};
use fastn::prelude::*;
use fastn::runtime::{Batching, Queue};
use fastn::store::{LeaseClock, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore, Store};
use fastn_testkit::Effects;
use fastn_testkit::server::PrivatePostgres;
use fastn_testkit::sweep::{CrashSweep, Swept};

use crate::world::{Res, StepFuture, builder};

const TOLD: Signal<u64> = Signal::new("told");
const CHILD: Child<u64, u64> = Child::new("child");

/// A step that has an effect of this name, and gives one more than it is given.
fn step(effects: &Effects, name: &'static str) -> impl Fn(u64) -> StepFuture + Clone + Send + Sync + use<> {
    let effects = effects.clone();
    move |n| {
        effects.note(name);
        Box::pin(async move { Ok(n + 1) })
    }
}

/// What undoes a step.
fn undo(
    effects: &Effects,
    name: &'static str,
) -> impl Fn(u64) -> std::future::Ready<Res<()>> + Clone + Send + Sync + use<> {
    let effects = effects.clone();
    move |_| {
        effects.note(name);
        std::future::ready(Ok(()))
    }
}

/// Sweeps over a workflow with one death and with two, on a memory store and with one on SQLite.
fn check(effects: &Effects, flow: &Workflow<u64, u64>) -> Swept {
    let sweep = || {
        let start = |engine: &Engine| engine.start(flow, 7).key("the run");
        CrashSweep::new(effects, |_| builder().serve(flow), start)
    };
    let folder = tempfile::tempdir().unwrap();
    let once = sweep().run().unwrap_or_else(|broken| panic!("{broken}"));
    let twice = sweep().twice().run().unwrap_or_else(|broken| panic!("{broken}"));
    let sqlite = sweep().on(on_sqlite(folder.path())).run().unwrap_or_else(|broken| panic!("{broken}"));
    assert!(
        once.deaths >= 10 && sqlite.deaths >= 10 && twice.deaths > once.deaths * 5,
        "{once:?} {twice:?} {sqlite:?}"
    );
    once
}

/// A fresh file of this folder for each death.
fn on_sqlite(folder: &Path) -> impl Fn() -> BoxFuture<'static, fastn::core::Result<Arc<dyn Store>>> + use<> {
    let (path, count) = (folder.to_owned(), AtomicU64::new(0));
    move || {
        let path = path.join(format!("{}.db", count.fetch_add(1, Ordering::Relaxed)));
        Box::pin(
            async move { Ok(Arc::new(SqliteStore::open(path, SqliteOptions::default()).await?) as Arc<dyn Store>) },
        )
    }
}

/// The names of effects that some death made take place again.
fn repeated(swept: &Swept) -> Vec<&str> {
    swept.repeated.iter().filter(|(_, count)| **count > 0).map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_chain() {
    let effects = Effects::default();
    let flow = workflow("chain")
        .define(|flow, n| {
            ["a", "b", "c", "d"].into_iter().fold(n, |port, name| flow.step(name, step(&effects, name), port))
        })
        .unwrap();
    assert_eq!(repeated(&check(&effects, &flow)), ["a", "b", "c", "d"], "each has a window, and nothing else does");
}

#[test]
fn a_diamond_with_a_retry() {
    let effects = Effects::default();
    let noted = effects.clone();
    let flaky = move |cx: StepCx, n: u64| {
        noted.note("left");
        let first = cx.info().attempt.0 == 1;
        async move { if first { Err(StepError::new("not yet")) } else { Ok(n) } }
    };
    async fn join(a: u64, b: u64) -> Res<u64> {
        Ok(a + b)
    }
    let flow = workflow("diamond")
        .define(|flow, n| {
            let top = flow.step("top", step(&effects, "top"), n);
            let left = flow.step("left", flaky.retry(Retry::fixed(minutes(5)).attempts(3)), top);
            let right = flow.step("right", step(&effects, "right"), top);
            let sum = flow.step("sum", join, (left, right));
            flow.step("bottom", step(&effects, "bottom"), sum)
        })
        .unwrap();
    check(&effects, &flow);
}

/// Items that are undone when something fails.
fn trip(effects: &Effects) -> Workflow<u64, u64> {
    async fn items(n: u64) -> Res<Vec<u64>> {
        Ok((0..n / 2).collect())
    }
    let noted = effects.clone();
    let sum = move |items: Vec<u64>| {
        noted.note("sum");
        async move { Err::<u64, _>(StepError::permanent(format!("there are {}", items.len()))) }
    };
    workflow("trip")
        .define(|flow, n| {
            let booked = flow.step("book", step(effects, "book").undo(undo(effects, "undo book")), n);
            let items = flow.step("items", items, booked);
            let done = flow.each("each", items.at_most(2), |flow, item| {
                let reserved = step(effects, "each/reserve").undo(undo(effects, "undo each/reserve"));
                let item = flow.step("reserve", reserved, item);
                flow.step("label", step(effects, "each/label"), item)
            });
            flow.step("sum", sum, done)
        })
        .unwrap()
}

#[test]
fn a_list_whose_items_are_undone_when_something_fails() {
    let effects = Effects::default();
    let swept = check(&effects, &trip(&effects));
    assert!(swept.repeated["undo each/reserve"] > 0, "{swept:?}");
}

#[test]
fn a_list_whose_items_are_undone_when_something_fails_on_postgres() {
    let effects = Effects::default();
    check_on_postgres("sweep_trip", &effects, &trip(&effects), &[], &[]);
}

/// A choice, of which each arm has something that the other has not.
fn chosen(effects: &Effects, even: bool) -> Workflow<u64, u64> {
    workflow("chosen")
        .define(|flow, n| {
            let before = flow.step("before", step(effects, "before"), n);
            let chosen = flow.when(
                "even",
                move |n: &u64| n.is_multiple_of(2) == even,
                before,
                |flow, n| {
                    let held = step(effects, "even.yes/held").undo(undo(effects, "undo even.yes/held"));
                    let held = flow.step("held", held, n);
                    flow.sleep("rest", hours(1), held)
                },
                |flow, n| {
                    let one = flow.step("one", step(effects, "even.no/one"), n);
                    flow.step("two", step(effects, "even.no/two"), one)
                },
            );
            flow.step("after", step(effects, "after"), chosen)
        })
        .unwrap()
}

#[test]
fn an_arm_that_is_chosen() {
    for even in [true, false] {
        let effects = Effects::default();
        let swept = check(&effects, &chosen(&effects, even));
        let arm = if even { "even.yes/held" } else { "even.no/one" };
        assert!(swept.repeated[arm] > 0, "{swept:?}");
    }
}

#[test]
fn an_arm_that_is_chosen_on_postgres() {
    let effects = Effects::default();
    check_on_postgres("sweep_chosen", &effects, &chosen(&effects, true), &[], &[]);
}

#[test]
fn a_step_under_way_while_another_fails_is_undone() {
    let effects = Effects::default();
    let noted = effects.clone();
    let slow = move |n: u64| {
        noted.note("slow");
        async move {
            // Long enough for the failure beside it to be recorded.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            Res::Ok(n)
        }
    };
    let noted = effects.clone();
    let fails = move |_: u64| {
        noted.note("fails");
        async { Err::<u64, _>(StepError::permanent("no")) }
    };
    async fn join(a: u64, b: u64) -> Res<u64> {
        Ok(a + b)
    }
    let flow = workflow("beside")
        .define(|flow, n| {
            let slow = flow.step("slow", slow.undo(undo(&effects, "undo slow")), n);
            let fails = flow.step("fails", fails, n);
            flow.step("join", join, (slow, fails))
        })
        .unwrap();
    check(&effects, &flow);
}

#[test]
fn a_sleep_between_steps() {
    let effects = Effects::default();
    let flow = workflow("nap")
        .define(|flow, n| {
            let before = flow.step("before", step(&effects, "before"), n);
            let rested = flow.sleep("rest", hours(5), before);
            flow.step("after", step(&effects, "after"), rested)
        })
        .unwrap();
    check(&effects, &flow);
}

#[test]
fn a_step_that_happens_once_or_not_at_all() {
    let effects = Effects::default();
    let flow = workflow("pay")
        .define(|flow, n| {
            let order = flow.step("order", step(&effects, "order").undo(undo(&effects, "undo order")), n);
            let paid = flow.step("pay", step(&effects, "pay").durability(Durability::AtMostOnce), order);
            flow.step("ship", step(&effects, "ship"), paid)
        })
        .unwrap();
    let swept = check(&effects, &flow);
    assert!(!repeated(&swept).contains(&"pay"), "{swept:?}");
    assert!(swept.unknown > 0, "{swept:?}");
}

#[test]
fn steps_that_do_not_wait_for_the_disk() {
    let effects = Effects::default();
    let flow = workflow("relaxed")
        .define(|flow, n| {
            let a = flow.step("a", step(&effects, "a").durability(Durability::Relaxed), n);
            let b = flow.step("b", step(&effects, "b").durability(Durability::Relaxed), a);
            flow.step("c", step(&effects, "c"), b)
        })
        .unwrap();
    check(&effects, &flow);
}

/// A sweep over a workflow that starts others, or is told something by whoever starts it. Its type has no name.
macro_rules! outside {
    ($sweep:ident, $effects:expr, $flow:expr, $others:expr, $signals:expr) => {
        let $sweep = || {
            let start = |engine: &Engine| {
                let engine = engine.clone();
                async move {
                    let run = engine.start($flow, 7).key("the run").await?;
                    for (n, value) in $signals.iter().enumerate() {
                        run.signal(TOLD, value).id(&n.to_string()).await?;
                    }
                    Ok(run)
                }
            };
            let serve = |engine: fastn::runtime::EngineBuilder| {
                $others.iter().fold(engine.serve($flow), |engine, other| engine.serve(other))
            };
            CrashSweep::new($effects, move |engine| serve(engine).always_suspend(suspends()), start)
        };
    };
}

fn suspends() -> bool {
    env!("CARGO_CRATE_NAME") == "suspended"
}

/// Sweeps with one death on Postgres. What is promised is held at each; which of them makes what happen again is chance there, since
/// calls are under way beside each other.
fn check_on_postgres(
    name: &'static str,
    effects: &Effects,
    flow: &Workflow<u64, u64>,
    others: &[&Workflow<u64, u64>],
    signals: &'static [u64],
) {
    outside!(sweep, effects, flow, others, signals);
    let swept = sweep().on(on_postgres(name, |_, _, _| {})).run().unwrap_or_else(|broken| panic!("{broken}"));
    assert!(swept.deaths >= 10, "{swept:?}");
}

/// Fresh tables for each death, in schemas with this name before a number, and what is to be done when they are there.
pub(crate) fn on_postgres(
    name: &'static str,
    opened: impl Fn(&PrivatePostgres, &str, Arc<PostgresStore>) + Send + Sync + Clone + 'static,
) -> impl Fn() -> BoxFuture<'static, fastn::core::Result<Arc<dyn Store>>> + Send + Sync + 'static {
    let count = Arc::new(AtomicU64::new(0));
    move || {
        let (schema, opened) = (format!("{name}_{}", count.fetch_add(1, Ordering::Relaxed)), opened.clone());
        Box::pin(async move {
            let server = PrivatePostgres::shared()?;
            // The sweep's time is its own.
            let options = PostgresOptions::default().schema(&schema).lease_clock(LeaseClock::Caller);
            let store = Arc::new(PostgresStore::open(&server.url("postgres"), options).await?);
            opened(server, &schema, store.clone());
            Ok(store as Arc<dyn Store>)
        })
    }
}

/// Sweeps over a workflow that starts others, or is told something by whoever starts it.
fn check_outside(
    effects: &Effects,
    flow: &Workflow<u64, u64>,
    others: &[&Workflow<u64, u64>],
    signals: &'static [u64],
    twice: bool,
) {
    outside!(sweep, effects, flow, others, signals);
    let once = sweep().run().unwrap_or_else(|broken| panic!("{broken}"));
    assert!(once.deaths >= 10, "{once:?}");
    if twice && !suspends() {
        let twice = sweep().twice().run().unwrap_or_else(|broken| panic!("{broken}"));
        assert!(twice.deaths > once.deaths * 5, "{once:?} {twice:?}");
    }
}

/// Two items, which whoever starts again adds again.
fn check_items<F: Future<Output = fastn::core::Result<Arc<dyn Store>>> + Send + 'static>(
    stores: impl Fn() -> F + Send + Sync + 'static,
    twice: bool,
) -> Swept {
    let effects = Effects::default();
    let noted = effects.clone();
    let sum = move |items: Vec<u64>| {
        noted.note("sum");
        async move { Res::Ok(items.iter().sum::<u64>()) }
    };
    let flow = workflow("sum")
        .define(|flow, items| {
            let sum = flow.step("sum", sum.undo(undo(&effects, "undo sum")), items);
            flow.step("after", step(&effects, "after"), sum)
        })
        .unwrap();
    let batching = Batching::new("q", 2, hours(1));
    let start = |engine: &Engine| {
        let (engine, flow, batching) = (engine.clone(), &flow, &batching);
        async move {
            let add = |n: u64| engine.start_batched(flow, n, batching).deduplicate(n.to_string()).into_future();
            add(3).await?;
            add(4).await
        }
    };
    let sweep = CrashSweep::new(&effects, |_| builder().queue(Queue::new("q").concurrency(1)).serve(&flow), start);
    let sweep = sweep.on(stores);
    let sweep = if twice { sweep.twice() } else { sweep };
    let swept = sweep.run().unwrap_or_else(|broken| panic!("{broken}"));
    assert!(swept.deaths >= 10, "{swept:?}");
    swept
}

#[test]
fn items_that_become_one_run() {
    let memory = || async { Ok(crate::world::memory()) };
    let (once, twice) = (check_items(memory, false), check_items(memory, true));
    assert!(twice.deaths > once.deaths * 5 && once.repeated["sum"] > 0, "{once:?} {twice:?}");
    let folder = tempfile::tempdir().unwrap();
    check_items(on_sqlite(folder.path()), false);
}

#[test]
fn items_that_become_one_run_on_postgres() {
    check_items(on_postgres("sweep_items", |_, _, _| {}), false);
}

fn told(effects: &Effects) -> Workflow<u64, u64> {
    workflow("told")
        .define(|flow, n| {
            let before = flow.step("before", step(effects, "before"), n);
            let one = flow.wait("one", TOLD, before);
            // Without an end: the sweep's time passes whether or not anybody is about to tell it something.
            let other = flow.wait("other", TOLD, one);
            flow.step("after", step(effects, "after"), other)
        })
        .unwrap()
}

#[test]
fn a_run_that_is_told_something_twice_over() {
    let effects = Effects::default();
    check_outside(&effects, &told(&effects), &[], &[1, 2], true);
}

#[test]
fn a_run_that_is_told_something_twice_over_on_postgres() {
    let effects = Effects::default();
    check_on_postgres("sweep_told", &effects, &told(&effects), &[], &[1, 2]);
}

#[test]
fn a_wait_in_vain_that_is_undone() {
    let effects = Effects::default();
    let flow = workflow("in vain")
        .define(|flow, n| {
            let held = flow.step("held", step(&effects, "held").undo(undo(&effects, "undo held")), n);
            let one = flow.wait("one", TOLD, held);
            let wait = TOLD.within(hours(1)).retry(Retry::fixed(millis(0)).attempts(2));
            let other = flow.wait("other", wait, one);
            flow.step("after", step(&effects, "after"), other)
        })
        .unwrap();
    check_outside(&effects, &flow, &[], &[1], false);
}

#[test]
fn a_run_that_starts_others() {
    let (effects, within) = (Effects::default(), Effects::default());
    let child = workflow("child")
        .define(|flow, n| {
            let rested = flow.sleep("rest", hours(1), n);
            flow.step("one", step(&within, "one"), rested)
        })
        .unwrap();
    let flow = workflow("parent")
        .define(|flow, n| {
            let before = flow.step("before", step(&effects, "before"), n);
            let given = flow.run("child", CHILD, before);
            flow.step("after", step(&effects, "after"), given)
        })
        .unwrap();
    check_outside(&effects, &flow, &[&child], &[], true);
}

/// A run that fails, and one that it started and that would go on for ever.
fn family(effects: &Effects, within: &Effects) -> [Workflow<u64, u64>; 2] {
    let child = workflow("child")
        .define(|flow, n| {
            let one = flow.step("one", step(within, "one").undo(undo(within, "undo one")), n);
            flow.wait("for ever", TOLD, one)
        })
        .unwrap();
    let parent = workflow("parent")
        .define(|flow, n| {
            let held = flow.step("held", step(effects, "held").undo(undo(effects, "undo held")), n);
            let child = flow.run("child", CHILD.within(hours(1)), held);
            flow.step("after", step(effects, "after"), child)
        })
        .unwrap();
    [parent, child]
}

#[test]
fn a_run_that_fails_beside_one_that_it_started() {
    let (effects, within) = (Effects::default(), Effects::default());
    let [parent, child] = family(&effects, &within);
    check_outside(&effects, &parent, &[&child], &[], false);
}

#[test]
fn a_run_that_fails_beside_one_that_it_started_on_postgres() {
    let (effects, within) = (Effects::default(), Effects::default());
    let [parent, child] = family(&effects, &within);
    check_on_postgres("sweep_family", &effects, &parent, &[&child], &[]);
}

#[test]
fn a_loop() {
    let effects = Effects::default();
    let flow = workflow("loop")
        .define(|flow, n| {
            flow.repeat(
                "up to nine",
                9,
                |n: &u64| *n < 9,
                n,
                |flow, n| {
                    let one = flow.step("one", step(&effects, "up to nine/one"), n);
                    flow.sleep("rest", hours(1), one)
                },
            )
        })
        .unwrap();
    check_outside(&effects, &flow, &[], &[], false);
}

/// Something that is tried twice, and is undone each time; then something else takes over, and in the end it is closed.
fn tried(effects: &Effects) -> Workflow<u64, u64> {
    let noted = effects.clone();
    let fails = move |_: u64| {
        noted.note("guard/charge");
        async { Err::<u64, _>(StepError::new("declined").of_kind("declined")) }
    };
    workflow("tried")
        .define(|flow, n| {
            let before = flow.step("before", step(effects, "before").undo(undo(effects, "undo before")), n);
            let paid = flow
                .attempt("guard", before, |flow, n| {
                    let held = step(effects, "guard/reserve").undo(undo(effects, "undo guard/reserve"));
                    let held = flow.step("reserve", held, n);
                    flow.step("charge", fails, held)
                })
                .retry(Retry::fixed(minutes(5)).attempts(2))
                .catch("declined", |flow, failed| {
                    let noted = effects.clone();
                    let ask = move |(_, n): (Failure, u64)| {
                        noted.note("guard.declined/ask");
                        async move { Res::Ok(n + 1) }
                    };
                    flow.step("ask", ask, failed)
                })
                .finally(undo(effects, "finally guard"))
                .done();
            flow.step("after", step(effects, "after"), paid)
        })
        .unwrap()
}

#[test]
fn what_is_tried_undone_handled_and_finished() {
    let effects = Effects::default();
    let swept = check(&effects, &tried(&effects));
    for name in ["undo guard/reserve", "finally guard", "guard.declined/ask"] {
        assert!(swept.repeated[name] > 0, "{name}: {swept:?}");
    }
    assert!(!repeated(&swept).contains(&"undo before"), "{swept:?}");
}

#[test]
fn what_is_tried_undone_handled_and_finished_on_postgres() {
    let effects = Effects::default();
    check_on_postgres("sweep_tried", &effects, &tried(&effects), &[], &[]);
}

#[test]
fn what_fails_for_good_is_finished_too() {
    let effects = Effects::default();
    let noted = effects.clone();
    let fails = move |_: u64| {
        noted.note("guard/charge");
        async { Err::<u64, _>(StepError::permanent("declined")) }
    };
    let flow = workflow("untried")
        .define(|flow, n| {
            let before = flow.step("before", step(&effects, "before").undo(undo(&effects, "undo before")), n);
            flow.attempt("guard", before, |flow, n| {
                let held = step(&effects, "guard/reserve").undo(undo(&effects, "undo guard/reserve"));
                let held = flow.step("reserve", held, n);
                flow.step("charge", fails, held)
            })
            .finally(undo(&effects, "finally guard"))
            .done()
        })
        .unwrap();
    let swept = check(&effects, &flow);
    assert!(swept.repeated["finally guard"] > 0, "{swept:?}");
}

/// A race whose loser is long under way with what can be undone when the other wins.
fn raced(effects: &Effects) -> Workflow<u64, u64> {
    workflow("raced")
        .define(|flow, n| {
            let won = flow
                .race("race", n)
                .arm("slow", |flow, n| {
                    let held = step(effects, "race.slow/held").undo(undo(effects, "undo race.slow/held"));
                    let held = flow.step("held", held, n);
                    let rested = flow.sleep("rest", hours(9), held);
                    flow.step("never", step(effects, "race.slow/never"), rested)
                })
                .arm("fast", |flow, n| {
                    let one = step(effects, "race.fast/one").undo(undo(effects, "undo race.fast/one"));
                    let one = flow.step("one", one, n);
                    flow.sleep("rest", hours(1), one)
                })
                .first();
            flow.step("after", step(effects, "after"), won)
        })
        .unwrap()
}

#[test]
fn a_race_whose_loser_is_undone() {
    let effects = Effects::default();
    let swept = check(&effects, &raced(&effects));
    assert!(swept.repeated["undo race.slow/held"] > 0, "{swept:?}");
    let repeated = repeated(&swept);
    assert!(!repeated.contains(&"undo race.fast/one") && !repeated.contains(&"race.slow/never"), "{swept:?}");
}

#[test]
fn items_of_which_some_fail_and_are_undone() {
    let effects = Effects::default();
    async fn items(n: u64) -> Res<Vec<u64>> {
        Ok((0..n).collect())
    }
    let noted = effects.clone();
    let odd = move |n: u64| {
        noted.note("each/odd");
        async move { if n.is_multiple_of(2) { Err(StepError::permanent("odd")) } else { Ok(n) } }
    };
    async fn count(settled: Vec<Settled<u64>>) -> Res<u64> {
        Ok(settled.iter().filter(|one| matches!(one, Settled::Ok(_))).count() as u64)
    }
    let flow = workflow("some")
        .define(|flow, n| {
            let items = flow.step("items", items, n);
            let done = flow.each("each", items.at_most(2).tolerating(Tolerance::All), |flow, item| {
                let held = step(&effects, "each/held").undo(undo(&effects, "undo each/held"));
                let held = flow.step("held", held, item);
                flow.step("odd", odd, held)
            });
            flow.step("count", count, done)
        })
        .unwrap();
    let swept = check(&effects, &flow);
    assert!(swept.repeated["undo each/held"] > 0, "{swept:?}");
}

/// A host that pauses its run, lets it go on and says what a step gave, and begins anew wherever it was.
#[test]
fn a_run_that_is_steered() {
    let effects = Effects::default();
    let flow = workflow("steered")
        .define(|flow, n| {
            let held = flow.step("held", step(&effects, "held").undo(undo(&effects, "undo held")), n);
            let told = flow.wait("told", TOLD, held);
            flow.step("after", step(&effects, "after"), told)
        })
        .unwrap();
    let start = |engine: &Engine| {
        let (engine, flow) = (engine.clone(), flow.clone());
        let by = || By::new("ann", "stocktaking");
        async move {
            let run = engine.start(&flow, 7).key("the run").await?;
            run.pause(by()).await?;
            run.resume(by()).await?;
            let gave = Decision::Gave(Payload::encode(&7_u64)?);
            loop {
                match engine.runs().decide(run.tenant(), run.id(), "told", gave.clone(), by()).await {
                    // It does not wait yet, or does not any more.
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        let found = engine.runs().inspect(run.tenant(), run.id()).await?;
                        let said = |record: &Record| matches!(record.event, Event::Decided { .. });
                        if found.outcome.is_some() || found.history.records.iter().any(said) {
                            return Ok(run);
                        }
                        tokio::time::sleep(millis(1)).await;
                    }
                    decided => return decided.map(|_| run),
                }
            }
        }
    };
    let served = flow.clone();
    let sweep = CrashSweep::new(&effects, move |engine| engine.serve(&served).always_suspend(suspends()), start);
    let swept = sweep.run().unwrap_or_else(|broken| panic!("{broken}"));
    assert!(swept.deaths >= 20, "{swept:?}");
}
