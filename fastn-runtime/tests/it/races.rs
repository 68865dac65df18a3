//! Races: the first so many win, and nothing is left of the others.

use std::sync::Arc;

use expect_test::expect;
use fastn_core::plan::{DraftKind, DraftNode};
use fastn_core::{Draft, Event, Join, Outcome, Payload, Tolerance};
use fastn_runtime::machine::{Action, Machine, Turn};
use fastn_testkit::sketch::{attempt, draft, race, tolerant};

use crate::machine::{check, check_told};
use crate::world::{Answers, T0, World};

fn with(text: &str, node: DraftNode) -> Draft {
    let mut draft = draft(text);
    draft.root.nodes.push(node);
    draft
}

#[test]
fn the_first_arm_that_succeeds_wins_and_what_the_others_did_is_undone() {
    let arms = [("slow", "a(input) undo\n b(a) undo\n c(b)\n-> c"), ("fast", "d(input) undo\n e(d)\n-> e")];
    check(
        with("after(race)\n-> after", race("race", "input", Join::First, &arms)),
        "7",
        Answers::new(),
        expect![[r#"
             0s race.slow/a#1(7)
             0s race.fast/d#1(7)
             0s race.slow/b#1("race.slow/a")
             0s race.fast/e#1("race.fast/d")
            stop race.slow/c#1
             0s race.slow/c#1("race.slow/b")
             0s undo race.slow/b#1("race.slow/b")
             0s undo race.slow/a#1("race.slow/a")
             0s after#1("race.fast/e")
            succeeded "after"
        "#]],
    );
}

#[test]
fn an_arm_that_fails_is_out_of_the_race() {
    let arms = [("one", "a(input) undo\n b(a)\n-> b"), ("two", "c(input) sleep 3\n d(c)\n-> d")];
    check(
        with("-> race", race("race", "input", Join::First, &arms)),
        "7",
        Answers::from([("race.one/b#1", Err("no"))]),
        expect![[r#"
             0s race.one/a#1(7)
             0s race.one/b#1("race.one/a") fails
             0s undo race.one/a#1("race.one/a")
             3s race.two/d#1(7)
            succeeded "race.two/d"
        "#]],
    );
}

#[test]
fn a_race_that_nobody_wins_fails_with_the_failures_of_all() {
    let arms = [("one", "a(input) undo\n b(a)\n-> b"), ("two", "c(input) undo\n d(c)\n-> d")];
    let draft = with("first(input) undo\n-> race", race("race", "first", Join::First, &arms));
    let answers = Answers::from([("race.one/b#1", Err("no")), ("race.two/d#1", Err("nor that"))]);
    check(
        draft.clone(),
        "7",
        answers.clone(),
        expect![[r#"
             0s first#1(7)
             0s race.one/a#1("first")
             0s race.two/c#1("first")
             0s race.one/b#1("race.one/a") fails
             0s race.two/d#1("race.two/c") fails
             0s undo race.one/a#1("race.one/a")
             0s undo race.two/c#1("race.two/c")
             0s undo first#1("first")
            failed: race: 2 of its 2 arms failed, and 1 must succeed (aggregate)
        "#]],
    );
    let mut world = World::new(draft, "7", answers);
    while world.step() {}
    let Some(Outcome::Failed(failure)) = world.machine.outcome() else { panic!("it fails") };
    assert_eq!(failure.chain, ["one: race.one/b: no (error)", "two: race.two/d: nor that (error)"]);
}

#[test]
fn a_sleep_in_an_arm_is_a_time_limit() {
    let arms = [("work", "w(input) undo\n p(w) wait paid\n-> p"), ("limit", "s(input) sleep 5\n-> '\"too late\"'")];
    let draft = with("-> race", race("race", "input", Join::First, &arms));
    check(
        draft.clone(),
        "7",
        Answers::new(),
        expect![[r#"
             0s race.work/w#1(7)
             5s undo race.work/w#1("race.work/w")
            succeeded "too late"
        "#]],
    );
    check_told(
        draft,
        "7",
        Answers::new(),
        &[(3, "paid", "9")],
        expect![[r#"
             0s race.work/w#1(7)
            succeeded 9
             3s paid is told 9
        "#]],
    );
}

#[test]
fn so_many_of_several_give_a_list_in_the_order_of_the_arms() {
    let arms = [
        ("a", "x(input) sleep 2\n y(x) undo\n-> y"),
        ("b", "x(input) undo\n y(x)\n-> y"),
        ("c", "x(input) sleep 1\n y(x)\n-> y"),
    ];
    check(
        with("-> race", race("race", "input", Join::Of(2), &arms)),
        "7",
        Answers::new(),
        expect![[r#"
             0s race.b/x#1(7)
             0s race.b/y#1("race.b/x")
             1s race.c/y#1(7)
            succeeded [{"arm":"b","value":"race.b/y"},{"arm":"c","value":"race.c/y"}]
        "#]],
    );
    check(
        with("-> race", race("race", "input", Join::Of(2), &arms)),
        "7",
        Answers::from([("race.b/y#1", Err("no")), ("race.c/y#1", Err("no"))]),
        expect![[r#"
             0s race.b/x#1(7)
             0s race.b/y#1("race.b/x") fails
             0s undo race.b/x#1("race.b/x")
             1s race.c/y#1(7) fails
            failed: race: 2 of its 3 arms failed, and 2 must succeed (aggregate)
        "#]],
    );
}

#[test]
fn a_loser_that_succeeds_while_it_is_stopped_is_undone() {
    let arms = [("fast", "a(input)\n-> a"), ("slow", "b(input) undo\n-> b")];
    check(
        with("-> race", race("race", "input", Join::First, &arms)),
        "7",
        Answers::new(),
        expect![[r#"
             0s race.fast/a#1(7)
            stop race.slow/b#1
             0s race.slow/b#1(7)
             0s undo race.slow/b#1("race.slow/b")
            succeeded "race.fast/a"
        "#]],
    );
}

#[test]
fn a_run_that_a_loser_has_started_ends_before_anything_of_it_is_undone() {
    let arms = [
        ("fast", "s(input) sleep 1\n-> s"),
        ("slow", "a(input) undo\n r(a) run other\n-> r"),
        ("left", "l(input) leave other\n-> l"),
    ];
    let mut world = World::new(with("-> race", race("race", "input", Join::First, &arms)), "7", Answers::new());
    // Nobody lets the other runs end before time has passed.
    while world.machine.running() > 0 {
        world.step();
    }
    let mut turn = Turn::new(world.machine.wakes_at().expect("it sleeps"));
    world.now = turn.time;
    world.machine.wake(&mut turn).expect("a timer can go off");
    world.take(turn);
    while world.step() {}
    expect![[r#"
         0s race.slow/a#1(7)
         0s race.left/l#1(7)
         0s race.slow/r#1("race.slow/a")
         1s end race.left/l#1: by itself
         1s end race.slow/r#1: cancelled
         1s undo race.slow/a#1("race.slow/a")
        succeeded 7
    "#]]
    .assert_eq(&world.log);
}

#[test]
fn an_at_most_once_step_of_a_loser_is_not_made_again() {
    let arms = [("fast", "a(input)\n-> a"), ("slow", "b(input) at_most_once\n c(b)\n-> c")];
    check(
        with("-> race", race("race", "input", Join::First, &arms)),
        "7",
        Answers::new(),
        expect![[r#"
             0s race.fast/a#1(7)
            stop race.slow/b#1
             0s race.slow/b#1(7)
            succeeded "race.fast/a"
        "#]],
    );
}

#[test]
fn a_finally_of_a_loser_is_called() {
    let mut node = race("race", "input", Join::First, &[("fast", "a(input)\n b(a)\n-> b"), ("slow", "-> guard")]);
    if let DraftKind::Race { arms, .. } = &mut node.kind {
        arms[1].1.nodes.push(attempt(
            "guard",
            "input",
            "finally",
            "x(input) undo\n y(x)\n z(y)\n-> z",
            &[("*", "-> input")],
        ));
    }
    check(
        with("-> race", node),
        "7",
        Answers::new(),
        expect![[r#"
             0s race.fast/a#1(7)
             0s race.slow/guard/x#1(7)
             0s race.fast/b#1("race.fast/a")
            stop race.slow/guard/y#1
             0s race.slow/guard/y#1("race.slow/guard/x")
             0s undo race.slow/guard/x#1("race.slow/guard/x")
             0s finally race.slow/guard#1(7)
            succeeded "race.fast/b"
        "#]],
    );
}

#[test]
fn races_within_races_lose_together() {
    let mut node = race("outer", "input", Join::First, &[("one", "a(input)\n b(a)\n c(b)\n-> c"), ("two", "-> inner")]);
    if let DraftKind::Race { arms, .. } = &mut node.kind {
        let inner = [("x", "p(input) undo\n q(p)\n r(q)\n s(r)\n-> s"), ("y", "t(input) undo\n u(t)\n-> u")];
        arms[1].1.nodes.push(race("inner", "input", Join::Of(2), &inner));
    }
    check(
        with("-> outer", node),
        "7",
        Answers::from([("undo outer.two/inner.x/p#1", Err("later"))]),
        expect![[r#"
             0s outer.one/a#1(7)
             0s outer.two/inner.x/p#1(7)
             0s outer.two/inner.y/t#1(7)
             0s outer.one/b#1("outer.one/a")
             0s outer.two/inner.x/q#1("outer.two/inner.x/p")
             0s outer.two/inner.y/u#1("outer.two/inner.y/t")
             0s outer.one/c#1("outer.one/b")
            stop outer.two/inner.x/r#1
             0s outer.two/inner.x/r#1("outer.two/inner.x/q")
             0s undo outer.two/inner.y/t#1("outer.two/inner.y/t")
             0s undo outer.two/inner.x/p#1("outer.two/inner.x/p") fails
             1s undo outer.two/inner.x/p#2("outer.two/inner.x/p")
            succeeded "outer.one/c"
        "#]],
    );
}

#[test]
fn items_may_fail_and_say_why() {
    check(
        with("-> all", tolerant("all", "input", 2, Tolerance::All, "a(input) undo\n b(a)\n-> b")),
        "[1,2,3]",
        Answers::from([("all[1]/b#1", Err("no"))]),
        expect![[r#"
             0s all[0]/a#1(1)
             0s all[1]/a#1(2)
             0s all[0]/b#1("all[0]/a")
             0s all[1]/b#1("all[1]/a") fails
             0s all[2]/a#1(3)
             0s undo all[1]/a#1("all[1]/a")
             0s all[2]/b#1("all[2]/a")
            succeeded [{"ok":"all[0]/b"},{"error":{"kind":"error","message":"no","permanent":false,"node":"all[1]/b"}},{"ok":"all[2]/b"}]
        "#]],
    );
}

#[test]
fn too_many_failed_items_fail_all_of_them() {
    check(
        with("-> all", tolerant("all", "input", 1, Tolerance::Failures(1), "a(input) undo\n b(a)\n-> b")),
        "[1,2,3,4]",
        Answers::from([("all[1]/b#1", Err("no")), ("all[2]/b#1", Err("nor that"))]),
        expect![[r#"
             0s all[0]/a#1(1)
             0s all[0]/b#1("all[0]/a")
             0s all[1]/a#1(2)
             0s all[1]/b#1("all[1]/a") fails
             0s undo all[1]/a#1("all[1]/a")
             0s all[2]/a#1(3)
             0s all[2]/b#1("all[2]/a") fails
             0s undo all[2]/a#1("all[2]/a")
             0s undo all[0]/a#1("all[0]/a")
            failed: all: 2 of its items failed, and 1 may (aggregate)
        "#]],
    );
    check(
        with("-> all", tolerant("all", "input", 4, Tolerance::Percent(49), "a(input)\n-> a")),
        "[1,2,3,4]",
        Answers::from([("all[1]/a#1", Err("no")), ("all[2]/a#1", Err("nor that"))]),
        expect![[r#"
             0s all[0]/a#1(1)
             0s all[1]/a#1(2) fails
             0s all[2]/a#1(3) fails
             0s all[3]/a#1(4)
            failed: all: 2 of its items failed, and 1 may (aggregate)
        "#]],
    );
}

/// Half of many items fail, and each of them is undone; what is under way does not grow with their number.
#[test]
fn half_of_ten_thousand_items_fail() {
    const COUNT: usize = 10_000;
    let draft = with("-> all", tolerant("all", "input", 8, Tolerance::All, "a(input) undo\n b(a)\n-> b"));
    let plan = Arc::new(draft.check().expect("a faultless draft"));
    let input = Payload::encode(&vec![0_u8; COUNT]).expect("JSON");
    let (mut machine, turn) = Machine::start(plan.clone(), input.clone(), T0).expect("it starts");
    let (mut records, mut tasks) = (turn.records, Vec::new());
    tasks.extend(turn.actions);
    while let Some(action) = tasks.pop() {
        let Action::Run(task) = action else { continue };
        if records.len() % 500 == 0 {
            let under_way = machine.activities().expect("it can be asked").len();
            assert!(under_way <= 8, "{under_way} are under way");
        }
        let fails = plan.path_at(&task.at).ends_with("/b") && task.at.items[0] % 2 == 1;
        let result =
            if fails { Err(fastn_core::Failure::new("odd".into(), "no").permanent()) } else { Ok(Payload::json("1")) };
        let event = machine.judge(&task, result, T0, 0);
        let mut turn = Turn::new(T0);
        machine.advance(event, &mut turn).expect("the event fits");
        records.extend(turn.records);
        tasks.extend(turn.actions);
    }
    let Some(Outcome::Succeeded(output)) = machine.outcome() else { panic!("{:?}", machine.outcome()) };
    let output: Vec<fastn_core::Settled<u8>> = output.decode().expect("a list");
    let failed = output.iter().filter(|item| matches!(item, fastn_core::Settled::Error(_))).count();
    assert_eq!((output.len(), failed), (COUNT, COUNT / 2));
    let unwound = records.iter().filter(|record| matches!(record.event, Event::Unwound { .. })).count();
    assert_eq!(unwound, COUNT / 2);
    let told = Machine::replay(plan, input, T0, &records).expect("its own records");
    assert_eq!(told.outcome(), machine.outcome());
}
