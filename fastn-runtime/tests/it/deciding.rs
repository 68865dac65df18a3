//! What people say of steps, in place of what comes of them by themselves.

use fastn_core::plan::NodeIx;
use fastn_core::{Address, Attempt, By, Decision, Draft, Event, Failure, FailureKind, Part, Payload};
use fastn_runtime::machine::{Doing, Machine, Turn};
use fastn_store::{HELD, Then};
use fastn_testkit::sketch::{draft, each, repeat};

use crate::world::{Answers, T0, World};

fn by() -> By {
    By::new("ann", "the bank says so")
}

fn gave(text: &str) -> Decision {
    Decision::Gave(Payload::json(text.to_owned()))
}

fn failed() -> Decision {
    Decision::Failed(Failure::new(FailureKind::ERROR, "it did not happen").permanent())
}

/// Decides about a step, if that means anything.
fn decide(world: &mut World, step: &str, decision: &Decision) -> bool {
    let id = *fastn_core::RunId::named(&format!("{step} {}", world.records.len())).as_bytes();
    let attempts = world.machine.attempts().expect("our own records");
    let of = attempts.iter().find(|(path, ..)| path == step);
    let event = of.and_then(|(_, at, part, attempt)| world.machine.decide(id, (at, *part, *attempt), decision, &by()));
    let meant = event.is_some();
    if let Some(event) = event {
        world.event(event.clone());
        assert!(world.machine.clone().advance(event, &mut Turn::new(world.now)).is_err(), "it is decided once");
    }
    meant
}

/// What comes of a flow when a step is decided about, dying after it or not: both times the same.
fn check(draft: &Draft, answers: &Answers, steps: usize, (step, decision): (&str, &Decision), expected: &str) {
    for dies in [false, true] {
        let mut world = World::new(draft.clone(), "0", answers.clone());
        for _ in 0..steps {
            world.step();
        }
        let begun = world.tasks.len();
        assert!(decide(&mut world, step, decision), "{step}\n{}", world.log);
        if dies {
            world.crash();
        }
        // What was under way is answered; of what was decided nobody heeds that.
        for task in world.tasks.split_off(0) {
            if !dies && world.machine.disowns(&task) {
                assert!(!world.machine.disowns(&task), "it is answered once");
                continue;
            }
            world.tasks.push_back(task);
        }
        assert!(world.tasks.len() <= begun + 1, "{}", world.log);
        while world.step() {}
        assert!(world.log.ends_with(&format!("{expected}\n")), "dying {dies}: {}", world.log);
    }
}

#[test]
fn a_step_that_holds_goes_on_as_a_person_says() {
    let flow = draft("a(input) at_most_once undo\n b(a)\n-> b");
    let mut world = World::new(flow.clone(), "0", Answers::new());
    world.crash();
    assert!(!world.step() && world.machine.outcome().is_none(), "it is not made again");
    assert_eq!(world.machine.then(), Then::Wait(HELD));
    let doing: Vec<_> = world.machine.activities().unwrap().into_iter().map(|activity| activity.doing).collect();
    assert_eq!(doing, [Doing::Doubt { attempt: Attempt(1) }]);
    assert!(world.records.iter().any(|record| matches!(record.event, Event::Doubted { .. })));
    for (decision, expected) in [
        (gave("\"paid\""), "succeeded \"b\""),
        (failed(), "failed: it did not happen (error)"),
        (Decision::Again, "succeeded \"b\""),
    ] {
        for dies in [false, true] {
            let mut world = World::new(flow.clone(), "0", Answers::new());
            world.crash();
            if dies {
                world.crash();
            }
            assert!(decide(&mut world, "a", &decision));
            if dies {
                world.crash();
            }
            while world.step() {}
            assert!(world.log.ends_with(&format!("{expected}\n")), "{}", world.log);
            let again = world.log.contains("a#2(0)");
            assert_eq!(again, decision == Decision::Again, "{}", world.log);
        }
    }
}

/// What it gave is undone with what the person said.
#[test]
fn what_a_person_says_was_done_is_undone_like_any_other() {
    let flow = draft("a(input) at_most_once undo\n b(a)\n-> b");
    let mut world = World::new(flow, "0", Answers::from([("b#1", Err("boom"))]));
    world.crash();
    assert!(decide(&mut world, "a", &gave("\"receipt 7\"")));
    while world.step() {}
    assert!(world.log.contains("undo a#1(\"receipt 7\")"), "{}", world.log);
}

#[test]
fn a_run_that_ends_waits_for_nobody_and_what_is_not_known_stays_unknown() {
    for dies in [false, true] {
        let mut world = World::new(draft("u(input) undo\n a(u) at_most_once\n-> a"), "0", Answers::new());
        world.step();
        world.crash();
        let event = world.machine.cancel(by()).expect("it goes");
        world.event(event);
        if dies {
            world.crash();
        }
        while world.step() {}
        assert!(world.log.contains("undo u#1") && world.log.ends_with("(cancelled)\n"), "{}", world.log);
        let unknown = |event: &Event| matches!(event, Event::Failed { failure, .. } if failure.kind == FailureKind::OUTCOME_UNKNOWN);
        assert_eq!(world.records.iter().filter(|record| unknown(&record.event)).count(), 1);
    }
}

#[test]
fn a_step_is_skipped_in_whatever_it_is_doing() {
    let no = Answers::from([("a#1", Err("no")), ("a#2", Err("no"))]);
    let retried = draft("a(input) retry 2 on_error\n b(a)\n-> b");
    check(&retried, &no, 1, ("a", &gave("7")), " 0s b#1(7)\nsucceeded \"b\"");
    check(&retried, &no, 1, ("a", &failed()), " 0s b#1(\"a\")\nsucceeded \"b\"");
    check(&retried, &no, 1, ("a", &Decision::Again), " 0s a#2(0) fails\n 1s a#3(0)\n 1s b#1(\"a\")\nsucceeded \"b\"");
    let running = draft("a(input)\n b(a)\n-> b");
    check(&running, &Answers::new(), 0, ("a", &gave("7")), " 0s b#1(7)\nsucceeded \"b\"");
    check(&running, &Answers::new(), 0, ("a", &failed()), "failed: it did not happen (error)");
    check(
        &draft("a(input) sleep 50\n b(a)\n-> b"),
        &Answers::new(),
        0,
        ("a", &gave("7")),
        " 0s b#1(7)\nsucceeded \"b\"",
    );
    check(
        &draft("a(input) wait go within 9\n b(a)\n-> b"),
        &Answers::new(),
        0,
        ("a", &gave("7")),
        " 0s b#1(7)\nsucceeded \"b\"",
    );
    let mut items = draft("-> all");
    items.root.nodes.push(each("all", "'[1,2]'", 1, "x(input) sleep 9\n y(x)\n-> y"));
    check(&items, &Answers::new(), 0, ("all[0]/x", &gave("7")), "succeeded [\"all[0]/y\",\"all[1]/y\"]");
    let mut rounds = draft("-> loop");
    rounds.root.nodes.push(repeat("loop", "'1'", 5, "b(input)\n-> 'false'"));
    check(&rounds, &Answers::new(), 1, ("loop[0]/b", &gave("7")), "succeeded false");
}

#[test]
fn a_run_that_a_step_has_started_is_cancelled_with_it_if_it_is_its_own() {
    for (bond, ends) in [("run", true), ("leave", false)] {
        let mut world = World::new(draft(&format!("a(input) {bond} other\n b(a)\n-> b")), "0", Answers::new());
        world.step();
        assert!(decide(&mut world, "a", &gave("7")));
        assert_eq!(world.children.values().all(|child| child.cancelled), ends, "{bond}");
        while let Some(run) = world.awaited.pop_front() {
            world.end_child(run, false);
        }
        while world.step() {}
        assert!(world.log.ends_with("b#1(7)\nsucceeded \"b\"\n"), "{}", world.log);
    }
}

#[test]
fn an_undo_that_does_not_come_to_its_end_is_decided_about_too() {
    let answers = Answers::from([("c#1", Err("boom")), ("undo b#1", Err("later"))]);
    let flow = draft("a(input) undo\n b(a) undo\n c(b)\n-> c");
    check(&flow, &answers, 4, ("b", &gave("null")), " 0s undo a#1(\"a\")\nfailed: c: boom (error)");
    check(&flow, &answers, 4, ("b", &failed()), " 0s undo a#1(\"a\")\nstuck: 1 could not be undone (compensation)");
    // One that is under way.
    check(&flow, &answers, 3, ("b", &gave("null")), " 0s undo a#1(\"a\")\nfailed: c: boom (error)");
}

#[test]
fn what_makes_no_sense_is_not_decided() {
    let mut nodes = draft("a(input)\n c(all)\n-> c");
    nodes.root.nodes.push(each("all", "a", 1, "x(input)\n-> x"));
    let mut world = World::new(nodes, "0", Answers::from([("a#1", Ok("[1]"))]));
    let at = |node| Address { node: NodeIx(node), items: vec![] };
    let says = |world: &World, at: &Address, part, attempt, decision: &Decision| {
        world.machine.decide([9; 16], (at, part, attempt), decision, &by()).is_some()
    };
    let a = world.plan.find("a").unwrap();
    assert!(says(&world, &Address { node: a, items: vec![] }, Part::Work, Attempt(1), &failed()));
    for (at, part, attempt, decision) in [
        (Address { node: a, items: vec![] }, Part::Work, Attempt(2), failed()),
        (Address { node: a, items: vec![] }, Part::OnError, Attempt(1), failed()),
        (Address { node: a, items: vec![] }, Part::Undo, Attempt(1), failed()),
        (Address { node: a, items: vec![] }, Part::Work, Attempt(1), Decision::Again),
        (at(99), Part::Work, Attempt(1), failed()),
        (Address { node: world.plan.find("c").unwrap(), items: vec![] }, Part::Work, Attempt(1), failed()),
    ] {
        assert!(!says(&world, &at, part, attempt, &decision), "{at:?} {part:?} {attempt} {decision:?}");
        let event = Event::Decided { id: [8; 16], at, part, attempt, decision: failed(), by: Box::new(by()) };
        if attempt == Attempt(1) && part == Part::Work && !matches!(decision, Decision::Again) {
            assert!(world.machine.clone().advance(event, &mut Turn::new(T0)).is_err());
        }
    }
    world.step();
    let all = world.plan.find("all").unwrap();
    assert!(!says(&world, &Address { node: all, items: vec![] }, Part::Work, Attempt(1), &gave("[]")), "an each");
    let told = Machine::replay(world.plan.clone(), world.input.clone(), T0, &world.records).unwrap();
    assert!(told.attempts().unwrap().iter().all(|(path, ..)| path == "all[0]/x"));
}
