//! The machine as a table: a plan and what its steps answer, and the log of what happened.

use std::sync::Arc;
use std::time::Duration;

use expect_test::{Expect, expect};
use fastn_core::plan::{NodeIx, NodeKind};
use fastn_core::{Address, Attempt, Draft, Event, Part, Payload, Record};
use fastn_runtime::machine::{Action, Machine, Turn};
use fastn_testkit::sketch::{draft, each, when};

use crate::world::{Answers, T0, World};

pub(crate) fn check(draft: Draft, input: &str, answers: Answers, expected: Expect) {
    check_told(draft, input, answers, &[], expected);
}

/// As [`check`], of a run that is told these signals, each at its second.
pub(crate) fn check_told(
    draft: Draft,
    input: &str,
    answers: Answers,
    signals: &[(i64, &'static str, &'static str)],
    expected: Expect,
) {
    let new = || {
        let mut world = World::new(draft.clone(), input, answers.clone());
        world.signals.extend(signals);
        world
    };
    let mut world = new();
    while world.step() {}
    expected.assert_eq(&world.log);
    assert!(world.machine.outcome().is_some(), "it ended");

    // Dying after any number of steps, or after every step, leads to the same end, and nothing that succeeded runs again.
    for crash_at in 0..world.records.len() + 3 {
        let (mut other, mut steps) = (new(), 0);
        loop {
            if steps == crash_at || crash_at == world.records.len() + 2 {
                other.crash();
            }
            steps += 1;
            if !other.step() {
                break;
            }
        }
        assert_eq!(other.machine.outcome(), world.machine.outcome(), "after a crash before step {crash_at}");
        let mut done = std::collections::BTreeSet::new();
        for record in &other.records {
            if let Event::Succeeded { at, part, .. } = &record.event
                && !matches!(other.plan.node(at.node).kind, NodeKind::Repeat { .. })
            {
                assert!(done.insert((at.clone(), *part as u8)), "{} succeeded twice", other.plan.path_at(at));
            }
        }
    }
}

#[test]
fn values_flow_along_the_edges() {
    check(
        draft("fetch(input)\n price(fetch)\n reserve(fetch)\n charge(price, reserve, '1')\n-> charge"),
        "42",
        Answers::from([("fetch#1", Ok("{\"order\":42}"))]),
        expect![[r#"
             0s fetch#1(42)
             0s price#1({"order":42})
             0s reserve#1({"order":42})
             0s charge#1("price", "reserve", 1)
            succeeded "charge"
        "#]],
    );
}

#[test]
fn a_failed_attempt_is_made_again_when_its_wait_is_over() {
    check(
        draft("a(input) retry 2\n b(input)\n c(a, b)\n-> c"),
        "0",
        Answers::from([("a#1", Err("no")), ("a#2", Err("no"))]),
        expect![[r#"
             0s a#1(0) fails
             0s b#1(0)
             1s a#2(0) fails
             2s a#3(0)
             2s c#1("a", "b")
            succeeded "c"
        "#]],
    );
}

#[test]
fn what_was_done_is_undone_last_first() {
    check(
        draft("a(input) undo\n b(a) undo\n c(b)\n d(input) undo\n e(c, d)\n-> e"),
        "0",
        Answers::from([("c#1", Err("boom")), ("undo b#1", Err("later"))]),
        expect![[r#"
             0s a#1(0)
             0s d#1(0)
             0s b#1("a")
             0s c#1("b") fails
             0s undo b#1("b") fails
             1s undo b#2("b")
             1s undo d#1("d")
             1s undo a#1("a")
            failed: c: boom (error)
        "#]],
    );
}

#[test]
fn what_cannot_be_undone_is_stuck_and_keeps_the_others_from_nothing() {
    check(
        draft("a(input) undo\n b(a) undo\n c(b)\n-> c"),
        "0",
        Answers::from([("c#1", Err("boom")), ("undo b#1", Err("no")), ("undo b#2", Err("never"))]),
        expect![[r#"
             0s a#1(0)
             0s b#1("a")
             0s c#1("b") fails
             0s undo b#1("b") fails
             1s undo b#2("b") fails
             1s undo a#1("a")
            stuck: 1 could not be undone (compensation)
        "#]],
    );
}

#[test]
fn another_function_takes_over_from_one_that_failed() {
    check(
        draft("a(input) retry 1 on_error\n b(a)\n-> b"),
        "7",
        Answers::from([("a#1", Err("no")), ("a#2", Err("no again")), ("on_error a#1", Ok("\"instead\""))]),
        expect![[r#"
             0s a#1(7) fails
             1s a#2(7) fails
             1s on_error a#1({"kind":"error","message":"no again","permanent":false,"node":"a"}, 7)
             1s b#1("instead")
            succeeded "b"
        "#]],
    );
}

#[test]
fn a_failure_of_what_took_over_is_final() {
    check(
        draft("a(input) on_error\n b(a)\n-> b"),
        "7",
        Answers::from([("a#1", Err("no")), ("on_error a#1", Err("no either"))]),
        expect![[r#"
             0s a#1(7) fails
             0s on_error a#1({"kind":"error","message":"no","permanent":false,"node":"a"}, 7) fails
            failed: a: no either (error)
        "#]],
    );
}

#[test]
fn sleep_passes_its_input_on_later() {
    check(
        draft("rest(input) sleep 5\n a(rest)\n nap(input) sleep 2\n-> a"),
        "7",
        Answers::new(),
        expect![[r#"
             5s a#1(7)
            succeeded "a"
        "#]],
    );
}

#[test]
fn items_are_worked_on_so_many_at_a_time_and_come_back_in_order() {
    let mut draft = draft("-> lines");
    draft.root.nodes.push(each("lines", "input", 2, "label(input) retry 1\n weigh(label) sleep\n-> weigh"));
    check(
        draft,
        "[10,20, 30]",
        Answers::from([("lines[0]/label#1", Err("no"))]),
        expect![[r#"
             0s lines[0]/label#1(10) fails
             0s lines[1]/label#1(20)
             1s lines[0]/label#2(10)
             1s lines[2]/label#1(30)
            succeeded ["lines[0]/label","lines[1]/label","lines[2]/label"]
        "#]],
    );
}

#[test]
fn lists_of_nothing_and_bodies_of_nothing_are_no_trouble() {
    let mut draft = draft("a(none, same)\n-> a");
    draft.root.nodes.push(each("none", "input", 2, "label(input)\n-> label"));
    draft.root.nodes.push(each("some", "'[1,2,3]'", 2, "-> input"));
    draft.root.nodes.push(each("same", "some", 1, "-> input"));
    check(
        draft,
        "[]",
        Answers::new(),
        expect![[r#"
             0s a#1([], [1,2,3])
            succeeded "a"
        "#]],
    );
}

#[test]
fn something_else_than_a_list_fails_the_run() {
    let mut draft = draft("a(input) undo\n-> lines");
    draft.root.nodes.push(each("lines", "a", 2, "label(input)\n-> label"));
    check(
        draft,
        "[]",
        Answers::new(),
        expect![[r#"
             0s a#1([])
             0s undo a#1("a")
            failed: lines: each needs a JSON array: invalid type: string "a", expected a sequence at line 1 column 3 (invalid)
        "#]],
    );
}

#[test]
fn items_within_items_are_undone_across_all_of_them() {
    let mut inner = draft("-> boxes");
    inner.root.nodes.push(each("boxes", "input", 1, "pack(input) undo\n-> pack"));
    let mut outer = draft("boom(pallets)\n-> boom");
    let mut pallets = each("pallets", "input", 1, "");
    pallets.kind =
        fastn_core::plan::DraftKind::Each { body: inner.root, concurrency: 1, tolerance: fastn_core::Tolerance::None };
    outer.root.nodes.push(pallets);
    check(
        outer,
        "[[1,2],[3]]",
        Answers::from([("boom#1", Err("no"))]),
        expect![[r#"
             0s pallets[0]/boxes[0]/pack#1(1)
             0s pallets[0]/boxes[1]/pack#1(2)
             0s pallets[1]/boxes[0]/pack#1(3)
             0s boom#1([["pallets[0]/boxes[0]/pack","pallets[0]/boxes[1]/pack"],["pallets[1]/boxes[0]/pack"]]) fails
             0s undo pallets[1]/boxes[0]/pack#1("pallets[1]/boxes[0]/pack")
             0s undo pallets[0]/boxes[1]/pack#1("pallets[0]/boxes[1]/pack")
             0s undo pallets[0]/boxes[0]/pack#1("pallets[0]/boxes[0]/pack")
            failed: boom: no (error)
        "#]],
    );
}

#[test]
fn one_arm_is_taken_and_the_other_is_not() {
    let mut draft = draft("a(risky)\n-> a");
    draft.root.nodes.push(when(
        "risky",
        "input",
        &[("yes", "review(input)\n sign(review)\n-> sign"), ("no", "-> input")],
    ));
    check(
        draft.clone(),
        "7",
        Answers::from([("risky#1", Ok("0"))]),
        expect![[r#"
             0s risky#1(7)
             0s risky.yes/review#1(7)
             0s risky.yes/sign#1("risky.yes/review")
             0s a#1("risky.yes/sign")
            succeeded "a"
        "#]],
    );
    check(
        draft.clone(),
        "7",
        Answers::from([("risky#1", Ok("1"))]),
        expect![[r#"
             0s risky#1(7)
             0s a#1(7)
            succeeded "a"
        "#]],
    );
    check(
        draft,
        "7",
        Answers::from([("risky#1", Ok("2"))]),
        expect![[r#"
             0s risky#1(7)
            failed: risky: it chose an arm that does not exist (invalid)
        "#]],
    );
}

#[test]
fn cancelling_stops_what_runs_and_undoes_what_was_done() {
    let mut world =
        World::new(draft("a(input) undo\n b(a) undo\n c(b)\n d(input) sleep 9\n-> c").clone(), "0", Answers::new());
    world.step();
    let event = world.machine.cancel("changed my mind").expect("it can be cancelled");
    world.event(event);
    assert!(world.machine.cancel("again").is_none(), "once is enough");
    while world.step() {}
    expect![[r#"
         0s a#1(0)
        abort all
         0s b#1("a")
         0s undo b#1("b")
         0s undo a#1("a")
        cancelled: changed my mind (cancelled)
    "#]]
    .assert_eq(&world.log);
}

#[test]
fn a_run_that_takes_too_long_fails() {
    let mut world = World::new(draft("a(input) undo\n b(a) sleep 9\n-> b"), "0", Answers::new());
    world.step();
    world.now = T0.plus(Duration::from_secs(5));
    let event = world.machine.expire().expect("it can expire");
    world.event(event);
    while world.step() {}
    expect![[r#"
         0s a#1(0)
        abort all
         5s undo a#1("a")
        failed: the run's deadline passed (timeout)
    "#]]
    .assert_eq(&world.log);
}

#[test]
fn an_at_most_once_step_that_was_interrupted_is_not_made_again() {
    for (text, expected) in [
        ("a(input) at_most_once retry 3\n-> a", expect![[""]]),
        (
            "a(input) at_most_once on_error\n-> a",
            expect![[r#"
             0s on_error a#1({"kind":"outcome_unknown","message":"its executor died while it ran; whether its effect took place is not known","permanent":true,"node":"a"}, 0)
            succeeded "a"
        "#]],
        ),
    ] {
        let mut world = World::new(draft(text), "0", Answers::new());
        assert!(
            matches!(world.records[..], [Record { event: Event::Started { .. }, .. }]),
            "its start is recorded first"
        );
        world.crash();
        while world.step() {}
        expected.assert_eq(&world.log);
    }
}

#[test]
fn an_at_most_once_step_that_was_never_begun_is_begun_on_record() {
    // Its executor died between the creation of the run and the record of the start.
    let plan = Arc::new(draft("a(input) at_most_once\n-> a").check().expect("a faultless draft"));
    let mut machine = Machine::replay(plan, Payload::json("0"), T0, &[]).expect("no records");
    let mut turn = Turn::new(T0);
    machine.resume(&mut turn).expect("no records");
    assert!(matches!(turn.records[..], [Record { event: Event::Started { .. }, .. }]), "{:?}", turn.records);
    assert!(matches!(turn.actions[..], [Action::Run(_)]), "{:?}", turn.actions);
}

#[test]
fn many_items_at_a_time_cost_no_more_each_than_few() {
    let count = 200_000;
    let mut many = draft("-> items");
    many.root.nodes.push(each("items", "input", count, "a(input)\n-> a"));
    let plan = Arc::new(many.check().expect("a faultless draft"));
    let input = Payload::json(format!("[{}]", vec!["0"; count as usize].join(",")));
    let began = std::time::Instant::now();
    let (machine, turn) = Machine::start(plan, input, T0).expect("a plan can be started");
    assert_eq!((machine.running(), turn.actions.len()), (count, count as usize));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_journal_written_with_a_higher_concurrency_is_read_with_a_lower_one() {
    let with = |concurrency| {
        let mut draft = draft("-> lines");
        draft.root.nodes.push(each("lines", "input", concurrency, "label(input)\n-> label"));
        draft
    };
    let mut world = World::new(with(4), "[1,2,3,4]", Answers::new());
    world.tasks.rotate_left(3);
    world.step();
    world.plan = Arc::new(with(1).check().expect("a plan"));
    world.crash();
    while world.step() {}
    expect![[r#"
         0s lines[3]/label#1(4)
         0s lines[0]/label#1(1)
         0s lines[1]/label#1(2)
         0s lines[2]/label#1(3)
        succeeded ["lines[0]/label","lines[1]/label","lines[2]/label","lines[3]/label"]
    "#]]
    .assert_eq(&world.log);
}

#[test]
fn records_of_another_plan_are_corrupt_and_no_panic() {
    let plan = Arc::new(draft("a(input)\n b(a)\n-> b").check().expect("a plan"));
    let mut other = draft("x(input)\n-> lines");
    other.root.nodes.push(each("lines", "'[1,2]'", 2, "y(input)\n z(y)\n-> z"));
    let mut world = World::new(other, "0", Answers::new());
    while world.step() {}
    for skip in 0..world.records.len() {
        let error =
            Machine::replay(plan.clone(), Payload::null(), T0, &world.records[skip..]).expect_err("not of this plan");
        assert_eq!(error.kind(), fastn_core::ErrorKind::Corrupt);
    }
}

#[test]
fn what_cannot_have_happened_is_corrupt() {
    let plan = Arc::new(draft("a(input) undo\n s(a) sleep 5\n-> s").check().expect("a plan"));
    let at = |node| Address { node: NodeIx(node), items: vec![] };
    let done = |node, part| {
        let event = Event::Succeeded { at: at(node), part, attempt: Attempt(1), output: Payload::null() };
        Record { time: T0, event }
    };
    let of = |event| Record { time: T0, event };
    let sleeping = |node| of(Event::Sleeping { at: at(node), until: T0 });
    let woke = |node| of(Event::Woke { at: at(node) });
    for records in [
        vec![sleeping(0)],
        vec![sleeping(1)],
        vec![woke(0)],
        vec![done(0, Part::Work), woke(1)],
        vec![done(0, Part::Work), sleeping(1), sleeping(1)],
        vec![done(0, Part::Work), sleeping(1), woke(1), woke(1)],
        vec![done(0, Part::Work), done(0, Part::Undo)],
        vec![done(0, Part::Work), done(0, Part::Work)],
    ] {
        let error = Machine::replay(plan.clone(), Payload::null(), T0, &records).expect_err("it cannot have happened");
        assert_eq!(error.kind(), fastn_core::ErrorKind::Corrupt, "{records:?}");
    }
}

/// What an event costs must not depend on the size of the plan. A hundred times the nodes may cost a few times as much an
/// event, for the sake of caches and of other programs on the machine; were every event to look at the whole plan, it would
/// be a hundred times.
#[test]
fn an_event_costs_the_same_in_a_large_plan() {
    let cost = |nodes: usize| {
        let mut text = String::from("n0(input)\n");
        (1..nodes).for_each(|i| text.push_str(&format!("n{i}(n{})\n", i - 1)));
        let plan = Arc::new(draft(&format!("{text}-> n{}", nodes - 1)).check().expect("a chain is a plan"));
        let (mut machine, mut turn) = Machine::start(plan, Payload::null(), T0).expect("a plan can be started");
        let began = std::time::Instant::now();
        for _ in 0..nodes {
            let Some(Action::Run(task)) = turn.actions.pop() else { panic!("a chain always has a next step") };
            let event = machine.judge(&task, Ok(Payload::null()), T0, 0);
            turn = Turn::new(T0);
            machine.advance(event, &mut turn).expect("the event fits");
        }
        assert!(machine.outcome().is_some());
        began.elapsed() / u32::try_from(nodes).expect("few nodes")
    };
    // The best of several, since what is measured is the least it can cost.
    let best = |nodes| (0..5).map(|_| cost(nodes)).min().expect("five times");
    let (small, large) = (best(500), best(50_000));
    assert!(large < small * 12, "{large:?} an event in a plan of 50,000 nodes, {small:?} in one of 500");
}
