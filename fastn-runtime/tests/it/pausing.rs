//! Runs that are paused: nothing of them begins, whatever happens and whoever has them.

use std::collections::BTreeSet;
use std::time::Duration;

use fastn_core::{By, Event, Failure, FailureKind, Timestamp};
use fastn_runtime::machine::Turn;
use fastn_store::{PAUSED, Then};
use fastn_testkit::sketch::{draft, each, repeat, when};

use crate::world::{Answers, World};

fn by() -> By {
    By::new("ann", "stocktaking")
}

fn world(text: &str, answers: Answers) -> World {
    World::new(draft(text), "0", answers)
}

fn pause(world: &mut World, id: u8) {
    let event = world.machine.pause([id; 16], &by()).expect("it is not paused");
    world.event(event);
}

fn resume(world: &mut World, id: u8) {
    let event = world.machine.unpause([id; 16], &by()).expect("it is paused");
    world.event(event);
}

/// Answers what is under way; nothing else may happen.
fn answer_all(world: &mut World) {
    while !world.tasks.is_empty() {
        world.step();
    }
    assert_eq!(world.machine.wakes_at(), None, "no timer goes off");
}

/// Whatever the flow, and whenever it is paused, resumed and left by a process that dies, its end is the same, and what succeeded is
/// not done again.
#[test]
fn a_pause_at_any_time_changes_nothing_but_when_it_is_done() {
    let mut nested = draft("first(input)\n-> all");
    nested.root.nodes.push(each("all", "'[1,2,3]'", 2, "x(input) undo retry 1\n y(x)\n-> y"));
    let mut looped = draft("-> loop");
    looped.root.nodes.push(repeat("loop", "'2'", 5, "b(input)\n-> 'false'"));
    let mut chosen = draft("-> way");
    chosen.root.nodes.push(when("way", "input", &[("yes", "c(input) on_error\n-> c"), ("no", "-> input")]));
    let failing = Answers::from([("c#1", Err("boom")), ("undo b#1", Err("later")), ("loop/b#1", Ok("0"))]);
    for (draft, answers) in [
        (draft("a(input) retry 2\n b(input) sleep 5\n c(a, b)\n-> c"), Answers::from([("a#1", Err("no"))])),
        (draft("a(input) undo\n b(a) undo\n c(b)\n-> c"), failing.clone()),
        (draft("a(input) at_most_once\n b(a) at_most_once\n-> b"), Answers::new()),
        (draft("a(input) on_error\n r(a) run other\n-> r"), Answers::from([("a#1", Err("no"))])),
        (nested, Answers::from([("all[1]/x#1", Err("no"))])),
        (looped, failing.clone()),
        (chosen, Answers::from([("way#1", Ok("0")), ("way.yes/c#1", Err("no"))])),
    ] {
        let new = || World::new(draft.clone(), "0", answers.clone());
        let mut plain = new();
        while plain.step() {}
        assert!(plain.machine.outcome().is_some(), "{}", plain.log);
        for at in 0..plain.records.len() + 3 {
            for (dies, dies_later) in [(false, false), (true, false), (false, true), (true, true)] {
                // What was begun once and its executor died over is unknown, with a pause or without.
                if (dies || dies_later)
                    && draft.root.nodes.iter().any(|node| node.policy.durability == fastn_core::Durability::AtMostOnce)
                {
                    continue;
                }
                let (mut other, mut steps) = (new(), 0);
                loop {
                    if steps == at && other.machine.outcome().is_none() {
                        pause(&mut other, 1);
                        if dies {
                            other.crash();
                            assert!(other.tasks.is_empty(), "nothing of a run that is paused is made again");
                        }
                        let before: Vec<_> = other.tasks.iter().map(|task| other.name(task)).collect();
                        let begun = other.records.len();
                        answer_all(&mut other);
                        let answered = other.records.len() - begun;
                        assert!(answered >= before.len(), "what was under way is recorded");
                        if other.machine.outcome().is_none() {
                            let then = other.machine.then();
                            assert!(matches!(then, Then::Wait(PAUSED)), "{then:?}\n{}", other.log);
                            if dies_later {
                                other.crash();
                                assert!(other.tasks.is_empty(), "{}", other.log);
                            }
                            resume(&mut other, 2);
                        }
                    }
                    steps += 1;
                    if !other.step() {
                        break;
                    }
                }
                let after = format!("paused before step {at}, dying {dies} {dies_later}\n{}", other.log);
                assert_eq!(other.machine.outcome(), plain.machine.outcome(), "{after}");
                let mut done = BTreeSet::new();
                for record in &other.records {
                    if let Event::Succeeded { at, part, .. } = &record.event
                        && other.plan.path_at(at) != "loop"
                    {
                        assert!(done.insert((at.clone(), *part as u8)), "{}", other.plan.path_at(at));
                    }
                }
            }
        }
    }
}

#[test]
fn a_step_that_is_to_begin_once_is_recorded_when_it_begins_and_not_while_it_is_held_back() {
    let mut world = world("a(input)\n b(a) at_most_once\n-> b", Answers::new());
    pause(&mut world, 1);
    answer_all(&mut world);
    let started = |world: &World| world.records.iter().any(|record| matches!(record.event, Event::Started { .. }));
    assert!(!started(&world), "{:?}", world.records);
    world.crash();
    resume(&mut world, 2);
    assert!(world.pass() && started(&world) && world.tasks.len() == 1);
    while world.step() {}
    assert!(world.log.ends_with("succeeded \"b\"\n"), "{}", world.log);
}

#[test]
fn what_passed_while_it_was_paused_passes_when_it_goes_on() {
    let mut world = world("a(input) sleep 5\n w(input) wait go within 3 on_error\n j(a, w)\n-> j", Answers::new());
    pause(&mut world, 1);
    world.now = Timestamp::from_millis(100_000);
    let mut turn = Turn::new(world.now);
    world.machine.wake(&mut turn).unwrap();
    assert!(turn.records.is_empty() && turn.actions.is_empty(), "{turn:?}");
    assert!(world.machine.expire().is_none(), "nor does its deadline");
    resume(&mut world, 2);
    assert!(world.machine.expire().is_some());
    while world.step() {}
    assert!(world.log.contains("100s on_error w#1"), "{}", world.log);
}

#[test]
fn a_signal_answers_a_wait_and_what_follows_does_not_begin() {
    let mut world = world("w(input) wait go\n a(w)\n-> a", Answers::new());
    pause(&mut world, 1);
    assert!(world.tell([9; 16], "go", "7"));
    assert!(world.tasks.is_empty() && world.machine.outcome().is_none());
    resume(&mut world, 2);
    while world.step() {}
    assert_eq!(world.log, " 0s a#1(7)\nsucceeded \"a\"\n");
}

#[test]
fn a_run_that_fails_while_it_is_paused_undoes_nothing_before_it_goes_on() {
    let mut world = world("a(input) undo\n b(a)\n-> b", Answers::from([("b#1", Err("boom"))]));
    world.step();
    pause(&mut world, 1);
    answer_all(&mut world);
    assert!(world.machine.outcome().is_none() && world.machine.ends_for().is_some());
    world.crash();
    assert!(world.tasks.is_empty());
    resume(&mut world, 2);
    while world.step() {}
    assert_eq!(world.log, " 0s a#1(0)\n 0s b#1(\"a\") fails\n 0s undo a#1(\"a\")\nfailed: b: boom (error)\n");
}

#[test]
fn cancelling_ends_a_pause_and_what_was_done_is_undone() {
    for dies in [false, true] {
        let mut world = world("a(input) undo\n b(a) undo\n c(b)\n-> c", Answers::new());
        world.step();
        pause(&mut world, 1);
        if dies {
            // Whether the second was done nobody knows: it is done to be undone.
            world.crash();
        } else {
            answer_all(&mut world);
        }
        let event = world.machine.cancel(By::new("bob", "enough")).expect("it goes");
        assert!(matches!(&event, Event::CancelRequested { actor: Some(actor), .. } if &**actor == "bob"));
        world.event(event);
        assert!(world.machine.paused().is_none());
        while world.step() {}
        assert!(
            world.log.ends_with("undo b#1(\"b\")\n 0s undo a#1(\"a\")\ncancelled: enough (cancelled)\n"),
            "{}",
            world.log
        );
    }
}

#[test]
fn an_undo_is_held_back_as_any_other_work() {
    let answers = Answers::from([("b#1", Err("boom")), ("undo a#1", Err("later"))]);
    let mut world = world("a(input) undo\n b(a)\n-> b", answers);
    world.step();
    world.step();
    pause(&mut world, 1);
    assert_eq!(world.tasks.len(), 1, "one that was begun goes on");
    answer_all(&mut world);
    world.now = world.now.plus(Duration::from_secs(60));
    resume(&mut world, 2);
    while world.step() {}
    assert!(world.log.contains("60s undo a#2"), "{}", world.log);
}

#[test]
fn what_it_was_told_it_is_told_once_and_a_pause_is_one_at_a_time() {
    let mut world = world("a(input)\n-> a", Answers::new());
    assert!(world.machine.unpause([1; 16], &by()).is_none(), "it is not paused");
    pause(&mut world, 1);
    assert!(world.machine.pause([2; 16], &by()).is_none(), "it is paused");
    assert_eq!(world.machine.paused().map(|(by, _)| by.actor.as_str()), Some("ann"));
    resume(&mut world, 3);
    assert!(world.machine.pause([1; 16], &by()).is_none(), "it was told that before");
    pause(&mut world, 4);
    assert!(world.machine.unpause([3; 16], &by()).is_none(), "it was told that before");
    for event in [Event::Paused { id: [5; 16], by: by() }, Event::Resumed { id: [4; 16], by: by() }] {
        assert!(world.machine.clone().advance(event, &mut Turn::new(world.now)).is_err(), "no journal has that");
    }
}

#[test]
fn a_run_that_is_paused_kills_nobody() {
    let mut world = world("a(input)\n-> a", Answers::new());
    assert!(world.machine.poison(5, world.now).unwrap().is_some());
    pause(&mut world, 1);
    assert_eq!(world.machine.poison(5, world.now).unwrap(), None);
    let failure = Failure::new(FailureKind::ERROR, "no");
    let task = world.tasks[0].clone();
    let event = world.machine.judge(&task, Err(failure), world.now, 0);
    world.event(event);
    assert!(world.machine.outcome().is_none(), "it has failed, and ends when it goes on");
    resume(&mut world, 2);
    assert!(world.machine.outcome().is_some());
    assert!(world.machine.pause([3; 16], &by()).is_none(), "it is over");
}
