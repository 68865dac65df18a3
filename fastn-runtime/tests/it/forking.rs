//! Runs that begin with what another one has done.

use std::collections::BTreeSet;

use fastn_core::{Address, By, Draft, Event, Origin, Outcome, Part, Payload, Record, RunId, Seed};
use fastn_runtime::machine::{Machine, inherit};
use fastn_testkit::sketch::{draft, each, repeat, when};

use crate::world::{Answers, T0, World};

/// A seed of these records.
fn seed(input: &str, records: Vec<Record>) -> Payload {
    let origin = Origin::new(RunId::named("old"), None, By::new("ann", "again"));
    Seed::new(Payload::json(input.to_owned()), origin, records).write().unwrap()
}

/// The instances of a path.
fn at(world: &World, step: &str) -> Address {
    let mut found = world.records.iter().filter_map(|record| record.event.address());
    found.find(|at| world.plan.path_at(at) == step).unwrap_or_else(|| panic!("{step}\n{}", world.log)).clone()
}

/// What a fork does of its own, the run that it comes from having ended; the same when it dies after every step.
#[track_caller]
fn check(
    draft: &Draft,
    answers: &Answers,
    signals: &[(i64, &'static str, &'static str)],
    again: &[&str],
    expected: &str,
) {
    let mut old = World::new(draft.clone(), "0", answers.clone());
    old.signals.extend(signals);
    while old.step() {}
    assert!(old.machine.outcome().is_some(), "{}", old.log);
    let again: Vec<Address> = again.iter().map(|step| at(&old, step)).collect();
    let kept = inherit(&old.plan, &old.records, &again);
    for dies in [false, true] {
        let mut new = World::begin(old.plan.clone(), seed("0", kept.clone()), Answers::new());
        while new.step() {
            if dies && new.machine.outcome().is_none() {
                new.crash();
            }
        }
        assert!(matches!(new.machine.outcome(), Some(Outcome::Succeeded(_))), "{}", new.log);
        let did: Vec<&str> = new.log.lines().map(|line| line.trim_start().trim_start_matches("0s ")).collect();
        let did: Vec<&str> = did.iter().filter_map(|line| line.split_once("#1(")).map(|(name, _)| name).collect();
        let (mut did, mut expected): (Vec<&str>, Vec<&str>) = (did, expected.split(' ').collect());
        did.sort_unstable();
        expected.sort_unstable();
        assert_eq!(did, expected, "dying {dies}\n{}", new.log);
    }
}

#[test]
fn what_comes_after_a_step_is_made_again_and_nothing_else() {
    let plain = draft("a(input)\n b(a)\n x(a)\n c(b)\n d(c, x)\n-> d");
    check(&plain, &Answers::new(), &[], &["b"], "b c d");
    check(&plain, &Answers::new(), &[], &["x"], "x d");
    check(&plain, &Answers::new(), &[], &["a"], "a b x c d");
    let mut items = draft("f(input)\n z(all)\n o(f)\n-> z");
    items.root.nodes.push(each("all", "f", 2, "x(input)\n y(x)\n-> y"));
    let list = Answers::from([("f#1", Ok("[1,2,3]"))]);
    check(&items, &list, &[], &["all[1]/x"], "all[1]/x all[1]/y z");
    let mut rounds = draft("f(input)\n z(loop)\n-> z");
    rounds.root.nodes.push(repeat("loop", "'3'", 9, "b(input)\n c(b)\n-> c"));
    let left = Answers::from([("loop[0]/c#1", Ok("2")), ("loop[1]/c#1", Ok("1")), ("loop[2]/c#1", Ok("0"))]);
    check(&rounds, &left, &[], &["loop[1]/c"], "loop[1]/c loop z");
    let mut chosen = draft("f(input)\n z(way)\n-> z");
    chosen.root.nodes.push(when("way", "f", &[("yes", "c(input)\n d(c)\n-> d"), ("no", "e(input)\n-> e")]));
    let yes = Answers::from([("way#1", Ok("0"))]);
    check(&chosen, &yes, &[], &["way.yes/d"], "way.yes/d z");
}

#[test]
fn what_was_undone_is_made_again_with_all_that_comes_after_it() {
    let flow = draft("k(input)\n a(k) undo\n b(a)\n u(k)\n c(b, u)\n-> c");
    let fails = Answers::from([("c#1", Err("boom"))]);
    check(&flow, &fails, &[], &[], "a b c");
    let stuck = Answers::from([("c#1", Err("boom")), ("undo a#1", Err("no")), ("undo a#2", Err("no"))]);
    check(&flow, &stuck, &[], &[], "c");
}

#[test]
fn a_signal_goes_with_the_wait_that_it_answered() {
    let flow = draft("v(input) wait go\n w(v) wait go\n a(v)\n b(w, a)\n-> b");
    let told = [(1, "go", "1"), (2, "go", "2"), (3, "go", "3")];
    check(&flow, &Answers::new(), &told[..2], &["a"], "a b");
    let mut old = World::new(flow, "0", Answers::new());
    old.signals.extend(told);
    while old.step() {}
    let kept = |again: &str| {
        let records = inherit(&old.plan, &old.records, &[at(&old, again)]);
        let values = records.iter().filter_map(|record| match &record.event {
            Event::Signalled { value, .. } => Some(String::from_utf8_lossy(value.bytes()).into_owned()),
            _ => None,
        });
        values.collect::<Vec<_>>().join(" ")
    };
    assert_eq!((kept("w"), kept("v"), kept("b")), ("1".to_owned(), String::new(), "1 2".to_owned()));
}

#[test]
fn a_fork_undoes_only_what_it_does_itself() {
    let flow = draft("a(input) undo\n b(a) undo\n c(b)\n-> c");
    let mut old = World::new(flow, "0", Answers::new());
    while old.step() {}
    let kept = inherit(&old.plan, &old.records, &[at(&old, "b")]);
    let mut new = World::begin(old.plan.clone(), seed("0", kept), Answers::from([("c#1", Err("boom"))]));
    while new.step() {}
    assert!(new.log.contains("undo b#1") && !new.log.contains("undo a"), "{}", new.log);
}

#[test]
fn what_was_not_done_begins_anew_and_counts_from_the_fork() {
    let flow = draft(
        "s(input) sleep 5\n w(input) wait go within 9\n r(input) run other\n a(input) retry 2\n j(s, w, r, a)\n-> j",
    );
    let mut old = World::new(flow, "0", Answers::from([("a#1", Err("no"))]));
    old.step();
    old.step();
    let kept = inherit(&old.plan, &old.records, &[]);
    assert!(kept.is_empty(), "{kept:?}");
    let later = fastn_core::Timestamp::from_millis(1_000_000);
    let (machine, turn) = Machine::start(old.plan.clone(), seed("0", kept), later).unwrap();
    assert_eq!(machine.wakes_at(), Some(later.plus(std::time::Duration::from_secs(5))));
    assert_eq!(turn.actions.len(), 2, "the run and the step");
}

#[test]
fn a_seed_of_another_plan_is_refused() {
    let plan = World::new(draft("a(input)\n-> a"), "0", Answers::new()).plan;
    let event = Event::Woke { at: Address { node: fastn_core::plan::NodeIx(7), items: vec![] } };
    let seed = seed("0", vec![Record { time: T0, event }]);
    assert!(Machine::start(plan.clone(), seed.clone(), T0).is_err());
    assert!(Machine::replay(plan, seed, T0, &[]).is_err());
}

/// Whatever the run, and wherever it is forked: what is kept is not made again, and the records of the fork are its own.
pub(crate) fn any(old: &World, which: usize) {
    let done = |record: &Record| match &record.event {
        Event::Succeeded { at, part, .. } if *part != Part::Undo => Some(at.clone()),
        _ => None,
    };
    let steps: Vec<Address> = old.records.iter().filter_map(done).collect();
    let again: Vec<Address> =
        which.checked_rem(steps.len()).and_then(|which| steps.get(which).cloned()).into_iter().collect();
    let kept = inherit(&old.plan, &old.records, &again);
    let text = String::from_utf8_lossy(old.input.bytes()).into_owned();
    let mut new = World::begin(old.plan.clone(), seed(&text, kept.clone()), Answers::new());
    let is_loop = |at: &Address| matches!(old.plan.node(at.node).kind, fastn_core::plan::NodeKind::Repeat { .. });
    let kept: BTreeSet<Address> = kept.iter().filter_map(done).filter(|at| !is_loop(at)).collect();
    assert!(again.iter().all(|at| !kept.contains(at)));
    for _ in 0..500 {
        let again = new.tasks.iter().find(|task| task.part == Part::Work && kept.contains(&task.at));
        assert!(again.is_none(), "{again:?}\n{}\n{}", old.log, new.log);
        if new.machine.outcome().is_some() {
            break;
        }
        new.next = Some(Ok("7")).filter(|_| {
            new.tasks.front().is_some_and(|task| {
                task.part != Part::Work || matches!(old.plan.node(task.at.node).kind, fastn_core::plan::NodeKind::Step)
            })
        });
        if let Some(task) = new.tasks.front()
            && task.part == Part::Work
            && matches!(old.plan.node(task.at.node).kind, fastn_core::plan::NodeKind::When(_))
        {
            new.next = Some(Ok("0"));
        }
        if !new.step() {
            break;
        }
    }
    let told = Machine::replay(new.plan.clone(), new.input.clone(), T0, &new.records).expect("its own records");
    assert_eq!(told.outcome(), new.machine.outcome());
}
