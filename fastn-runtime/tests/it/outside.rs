//! What comes from outside: signals, and the ends of other runs. And loops.

use std::time::Duration;

use expect_test::expect;
use fastn_core::Retry;
use fastn_core::plan::DraftKind;
use fastn_testkit::sketch::{draft, each, repeat};

use crate::machine::{check, check_told};
use crate::world::{Answers, T0, World};

#[test]
fn a_wait_gives_what_it_is_told() {
    check_told(
        draft("fetch(input)\n paid(fetch) wait payment\n ship(paid, fetch)\n-> ship"),
        "1",
        Answers::new(),
        &[(3, "payment", "100"), (4, "payment", "200"), (5, "nonsense", "0")],
        expect![[r#"
             0s fetch#1(1)
             3s payment is told 100
             3s ship#1(100, "fetch")
            succeeded "ship"
             4s payment is told 200 in vain
             5s nonsense is told 0 in vain
        "#]],
    );
}

#[test]
fn what_is_told_before_anybody_waits_is_kept() {
    check_told(
        draft("rest(input) sleep 5\n paid(rest) wait payment\n ship(paid)\n-> ship"),
        "1",
        Answers::new(),
        &[(1, "payment", "100")],
        expect![[r#"
             1s payment is told 100
             5s ship#1(100)
            succeeded "ship"
        "#]],
    );
}

#[test]
fn each_value_is_for_one_who_waits_in_the_order_in_which_they_began() {
    let mut draft = draft("-> items");
    draft.root.nodes.push(each("items", "input", 2, "got(input) wait go\n say(got, input)\n-> say"));
    check_told(
        draft,
        "[10,20,30]",
        Answers::new(),
        &[(1, "go", "1"), (2, "go", "2"), (2, "go", "3")],
        expect![[r#"
             1s go is told 1
             1s items[0]/say#1(1, 10)
             2s go is told 2
             2s items[1]/say#1(2, 20)
             2s go is told 3
             2s items[2]/say#1(3, 30)
            succeeded ["items[0]/say","items[1]/say","items[2]/say"]
        "#]],
    );
}

#[test]
fn the_first_value_is_for_all_and_the_others_mean_nothing() {
    check_told(
        draft("a(input) first go\n rest(input) sleep 9\n b(rest) first go\n say(a, b)\n-> say"),
        "0",
        Answers::new(),
        &[(1, "go", "1"), (2, "go", "2")],
        expect![[r#"
             1s go is told 1
             2s go is told 2 in vain
             9s say#1(1, 1)
            succeeded "say"
        "#]],
    );
}

#[test]
fn a_wait_ends_in_vain_and_something_else_takes_over() {
    check_told(
        draft("paid(input) wait payment within 3 on_error\n ship(paid)\n-> ship"),
        "1",
        Answers::from([("on_error paid#1", Ok("0"))]),
        &[(4, "payment", "100")],
        expect![[r#"
             3s on_error paid#1({"kind":"timeout","message":"no `payment` came in time","permanent":false,"node":"paid"}, 1)
             3s ship#1(0)
            succeeded "ship"
             4s payment is told 100 in vain
        "#]],
    );
}

#[test]
fn a_wait_in_vain_is_begun_again_as_often_as_it_may_and_what_was_done_is_undone() {
    let mut draft = draft("hold(input) undo\n paid(hold) wait payment within 3\n ship(paid)\n-> ship");
    draft.root.nodes[1].policy.retry = Retry::fixed(Duration::ZERO).attempts(2);
    check_told(
        draft.clone(),
        "1",
        Answers::new(),
        &[(5, "payment", "100")],
        expect![[r#"
         0s hold#1(1)
         5s payment is told 100
         5s ship#1(100)
        succeeded "ship"
    "#]],
    );
    check_told(
        draft,
        "1",
        Answers::new(),
        &[(7, "payment", "100")],
        expect![[r#"
         0s hold#1(1)
         6s undo hold#1("hold")
        failed: paid: no `payment` came in time (timeout)
         7s payment is told 100 in vain
    "#]],
    );
}

#[test]
fn what_comes_in_the_moment_in_which_a_wait_ends_counts_if_it_is_recorded_first() {
    check_told(
        draft("paid(input) wait payment within 3\n-> paid"),
        "1",
        Answers::new(),
        &[(3, "payment", "100")],
        expect![[r#"
            succeeded 100
             3s payment is told 100
        "#]],
    );
}

#[test]
fn what_a_signal_brought_is_undone_too() {
    check_told(
        draft("paid(input) wait payment undo\n ship(paid)\n-> ship"),
        "1",
        Answers::from([("ship#1", Err("lost"))]),
        &[(3, "payment", "100")],
        expect![[r#"
             3s payment is told 100
             3s ship#1(100) fails
             3s undo paid#1(100)
            failed: ship: lost (error)
        "#]],
    );
}

#[test]
fn a_run_gives_what_the_run_gave_that_it_started() {
    check(
        draft("ship(input) run shipping\n tell(ship)\n-> tell"),
        "1",
        Answers::from([("end ship#1", Ok("\"parcel\""))]),
        expect![[r#"
             0s ship#1(1)
             0s end ship#1: by itself
             0s tell#1("parcel")
            succeeded "tell"
        "#]],
    );
}

#[test]
fn a_run_that_failed_is_started_again_as_another() {
    check(
        draft("ship(input) run shipping retry 1\n tell(ship)\n-> tell"),
        "1",
        Answers::from([("end ship#1", Err("no van"))]),
        expect![[r#"
             0s ship#1(1)
             0s end ship#1: by itself
             1s ship#2(1)
             1s end ship#2: by itself
             1s tell#1("ship#2")
            succeeded "tell"
        "#]],
    );
    check(
        draft("hold(input) undo\n ship(hold) run shipping\n-> ship"),
        "1",
        Answers::from([("end ship#1", Err("no van"))]),
        expect![[r#"
             0s hold#1(1)
             0s ship#1("hold")
             0s end ship#1: by itself
             0s undo hold#1("hold")
            failed: ship: run 02b79ade-08bd-86b0-9ee5-0b6c3007b7e0 failed: no van (error)
        "#]],
    );
}

#[test]
fn a_run_that_is_detached_is_only_started() {
    check(
        draft("ship(input) detach shipping\n tell(input) after ship\n-> tell"),
        "1",
        Answers::new(),
        expect![[r#"
             0s ship#1(1)
             0s tell#1(1)
            succeeded "tell"
        "#]],
    );
}

#[test]
fn what_a_failing_run_has_started_ends_before_anything_is_undone() {
    check(
        draft("hold(input) undo\n ship(hold) run shipping\n bill(hold) leave billing\n charge(hold)\n-> charge"),
        "1",
        Answers::from([("charge#1", Err("declined"))]),
        expect![[r#"
             0s hold#1(1)
             0s bill#1("hold")
             0s charge#1("hold") fails
             0s ship#1("hold")
             0s end bill#1: by itself
             0s end ship#1: cancelled
             0s undo hold#1("hold")
            failed: charge: declined (error)
        "#]],
    );
}

#[test]
fn a_body_is_done_again_as_long_as_its_function_says_so() {
    let mut draft = draft("tell(loop)\n-> tell");
    draft.root.nodes.push(repeat("loop", "input", 3, "a(input)\n b(a)\n-> b"));
    let rounds = Answers::from([("loop[0]/b#1", Ok("2")), ("loop[1]/b#1", Ok("1")), ("loop[2]/b#1", Ok("0"))]);
    check(
        draft.clone(),
        "3",
        rounds.clone(),
        expect![[r#"
         0s loop#1(3)
         0s loop[0]/a#1(3)
         0s loop[0]/b#1("loop[0]/a")
         0s loop#1(2)
         0s loop[1]/a#1(2)
         0s loop[1]/b#1("loop[1]/a")
         0s loop#1(1)
         0s loop[2]/a#1(1)
         0s loop[2]/b#1("loop[2]/a")
         0s loop#1(0)
         0s tell#1(0)
        succeeded "tell"
    "#]],
    );
    check(
        draft.clone(),
        "0",
        rounds,
        expect![[r#"
         0s loop#1(0)
         0s tell#1(0)
        succeeded "tell"
    "#]],
    );
    check(
        draft,
        "0",
        Answers::from([("loop#1", Ok("7"))]),
        expect![[r#"
         0s loop#1(0)
        failed: loop: it said neither yes nor no (invalid)
    "#]],
    );
}

#[test]
fn a_loop_that_does_not_end_fails_and_each_of_its_rounds_is_undone() {
    let mut draft = draft("-> loop");
    draft.root.nodes.push(repeat("loop", "input", 2, "a(input) undo\n-> a"));
    let rounds = Answers::from([("loop[0]/a#1", Ok("2")), ("loop[1]/a#1", Ok("1"))]);
    check(
        draft,
        "3",
        rounds,
        expect![[r#"
         0s loop#1(3)
         0s loop[0]/a#1(3)
         0s loop#1(2)
         0s loop[1]/a#1(2)
         0s loop#1(1)
         0s undo loop[1]/a#1(1)
         0s undo loop[0]/a#1(2)
        failed: loop: it was repeated 2 times, and was to be repeated once more (exhausted)
    "#]],
    );
}

#[test]
fn loops_within_loops_know_their_rounds() {
    let mut inner = draft("-> inner");
    inner.root.nodes.push(repeat("inner", "'2'", 9, "a(input)\n-> a"));
    let mut draft = draft("-> outer");
    draft.root.nodes.push(repeat("outer", "input", 2, ""));
    draft.root.nodes[0].kind = DraftKind::Repeat { body: inner.root, most: 2 };
    let rounds = Answers::from([
        ("outer[0]/inner[0]/a#1", Ok("1")),
        ("outer[0]/inner[1]/a#1", Ok("-1")),
        ("outer[1]/inner[0]/a#1", Err("no")),
    ]);
    check(
        draft.clone(),
        "1",
        rounds.clone(),
        expect![[r#"
         0s outer#1(1)
         0s outer[0]/inner#1(2)
         0s outer[0]/inner[0]/a#1(2)
         0s outer[0]/inner#1(1)
         0s outer[0]/inner[1]/a#1(1)
         0s outer[0]/inner#1(-1)
         0s outer#1(-1)
        succeeded -1
    "#]],
    );
    let rounds = Answers::from([("outer[0]/inner[0]/a#1", Ok("0")), ("outer#1", Ok("true"))]);
    check(
        draft,
        "1",
        rounds,
        expect![[r#"
         0s outer#1(1)
         0s outer[0]/inner#1(2)
         0s outer[0]/inner[0]/a#1(2)
         0s outer[0]/inner#1(0)
         0s outer#1(0)
         0s outer[1]/inner#1(2)
         0s outer[1]/inner[0]/a#1(2)
         0s outer[1]/inner#1("outer[1]/inner[0]/a")
         0s outer#1("outer[1]/inner[0]/a")
        failed: outer: it was repeated 2 times, and was to be repeated once more (exhausted)
    "#]],
    );
}

#[test]
fn what_takes_over_from_a_run_can_kill_and_starting_one_cannot() {
    let mut world = World::new(
        draft("ship(input) run shipping on_error\n-> ship"),
        "1",
        Answers::from([("end ship#1", Err("no van")), ("on_error ship#1", Err("it kills"))]),
    );
    world.crash();
    assert_eq!(world.machine.poison(3, T0).expect("it was replayed"), None, "it is about to start a run");
    assert!(world.step() && world.pass(), "the run is started, and fails");
    world.crash();
    assert!(
        world.machine.poison(3, T0).expect("it was replayed").is_some(),
        "a function of the host's is about to be called"
    );
}

#[test]
fn what_a_run_has_started_is_ended_when_it_is_given_up_as_poison() {
    let mut world = World::new(
        draft("ship(input) run shipping\n leave(input) leave billing\n kill(input)\n-> ship"),
        "1",
        Answers::new(),
    );
    while world.tasks.front().is_some_and(|task| world.plan.path_at(&task.at) != "kill") || world.tasks.len() > 1 {
        world.tasks.rotate_left(usize::from(world.plan.path_at(&world.tasks[0].at) == "kill"));
        world.step();
    }
    world.crash();
    let end = world.machine.poison(5, T0).expect("it was replayed").expect("a step is under way");
    world.event(end);
    let cancelled: Vec<bool> = world.children.values().map(|child| child.cancelled).collect();
    assert_eq!(cancelled.iter().filter(|cancelled| **cancelled).count(), 1, "its own, and not the one that is left");
    assert!(world.children.values().all(|child| child.cancelled == child.own));
}

#[test]
fn a_run_that_ends_starts_nothing_that_would_only_be_left() {
    let mut world =
        World::new(draft("ship(input) run shipping\n bill(input) leave billing\n-> ship"), "1", Answers::new());
    let event = world.machine.cancel("enough").expect("it goes");
    world.event(event);
    world.crash();
    let started: Vec<String> = world.tasks.iter().map(|task| world.plan.path_at(&task.at)).collect();
    assert_eq!(started, ["ship"], "whether that one is there must be known");
}
