//! What is tried: failures that go no further, what takes over, and what is called in the end.

use expect_test::expect;
use fastn_core::plan::DraftNode;
use fastn_core::{Draft, Outcome};
use fastn_testkit::sketch::{attempt, draft, each};

use crate::machine::check;
use crate::world::{Answers, World};

/// A workflow of these nodes and one more.
fn with(text: &str, node: DraftNode) -> Draft {
    let mut draft = draft(text);
    draft.root.nodes.push(node);
    draft
}

#[test]
fn what_is_tried_and_goes_well_gives_its_value() {
    check(
        with(
            "after(guard)\n-> after",
            attempt("guard", "input", "", "a(input) undo\n b(a)\n-> b", &[("*", "-> input")]),
        ),
        "7",
        Answers::new(),
        expect![[r#"
             0s guard/a#1(7)
             0s guard/b#1("guard/a")
             0s after#1("guard/b")
            succeeded "after"
        "#]],
    );
}

#[test]
fn what_failed_is_undone_and_then_a_handler_of_its_kind_takes_over() {
    let body = "a(input) undo\n b(a) undo\n c(b)\n-> c";
    let handlers = [("timeout", "-> 'null'"), ("error", "h(input)\n-> h"), ("*", "-> 'null'")];
    check(
        with("before(input) undo\n after(guard)\n-> after", attempt("guard", "before", "", body, &handlers)),
        "7",
        Answers::from([("guard/c#1", Err("boom"))]),
        expect![[r#"
             0s before#1(7)
             0s guard/a#1("before")
             0s guard/b#1("guard/a")
             0s guard/c#1("guard/b") fails
             0s undo guard/b#1("guard/b")
             0s undo guard/a#1("guard/a")
             0s guard.error/h#1([{"kind":"error","message":"boom","permanent":false,"node":"guard/c"},"before"])
             0s after#1("guard.error/h")
            succeeded "after"
        "#]],
    );
}

#[test]
fn what_no_handler_takes_goes_on_outwards_as_the_same_failure() {
    let body = "a(input) undo\n c(a)\n-> c";
    check(
        with("before(input) undo\n-> guard", attempt("guard", "before", "", body, &[("timeout", "-> 'null'")])),
        "7",
        Answers::from([("guard/c#1", Err("boom"))]),
        expect![[r#"
             0s before#1(7)
             0s guard/a#1("before")
             0s guard/c#1("guard/a") fails
             0s undo guard/a#1("guard/a")
             0s undo before#1("before")
            failed: guard/c: boom (error)
        "#]],
    );
}

#[test]
fn a_body_is_done_again_from_its_beginning_with_nothing_left_of_the_time_before() {
    let body = "a(input) undo\n c(a)\n-> c";
    check(
        with("-> guard", attempt("guard", "input", "retry 2", body, &[("*", "-> 'null'")])),
        "7",
        Answers::from([("guard/c#1", Err("boom")), ("guard[1]/c#1", Err("boom again"))]),
        expect![[r#"
             0s guard/a#1(7)
             0s guard/c#1("guard/a") fails
             0s undo guard/a#1("guard/a")
             1s guard[1]/a#1(7)
             1s guard[1]/c#1("guard[1]/a") fails
             1s undo guard[1]/a#1("guard[1]/a")
             2s guard[2]/a#1(7)
             2s guard[2]/c#1("guard[2]/a")
            succeeded "guard[2]/c"
        "#]],
    );
}

#[test]
fn a_body_that_fails_as_often_as_it_may_is_handed_to_a_handler() {
    let body = "a(input) undo\n c(a)\n-> c";
    check(
        with("-> guard", attempt("guard", "input", "retry 1", body, &[("*", "h(input)\n-> h")])),
        "7",
        Answers::from([("guard/c#1", Err("boom")), ("guard[1]/c#1", Err("boom again"))]),
        expect![[r#"
             0s guard/a#1(7)
             0s guard/c#1("guard/a") fails
             0s undo guard/a#1("guard/a")
             1s guard[1]/a#1(7)
             1s guard[1]/c#1("guard[1]/a") fails
             1s undo guard[1]/a#1("guard[1]/a")
             1s guard.*/h#1([{"kind":"error","message":"boom again","permanent":false,"node":"guard[1]/c"},7])
            succeeded "guard.*/h"
        "#]],
    );
}

#[test]
fn what_is_called_in_the_end_is_called_before_others_go_on() {
    check(
        with("after(guard)\n-> after", attempt("guard", "input", "finally", "a(input)\n-> a", &[])),
        "7",
        Answers::new(),
        expect![[r#"
             0s guard/a#1(7)
             0s finally guard#1(7)
             0s after#1("guard/a")
            succeeded "after"
        "#]],
    );
}

#[test]
fn what_is_called_in_the_end_is_called_after_a_handler() {
    check(
        with(
            "after(guard)\n-> after",
            attempt("guard", "input", "finally", "a(input)\n-> a", &[("*", "h(input)\n-> h")]),
        ),
        "7",
        Answers::from([("guard/a#1", Err("no")), ("finally guard#1", Err("not yet"))]),
        expect![[r#"
             0s guard/a#1(7) fails
             0s guard.*/h#1([{"kind":"error","message":"no","permanent":false,"node":"guard/a"},7])
             0s finally guard#1(7) fails
             1s finally guard#2(7)
             1s after#1("guard.*/h")
            succeeded "after"
        "#]],
    );
}

#[test]
fn what_is_called_in_the_end_is_called_when_nothing_takes_over_after_what_came_later_is_undone() {
    check(
        with(
            "first(input) undo\n later(first) undo after guard\n boom(later)\n-> boom",
            attempt("guard", "first", "finally", "a(input) undo\n-> a", &[]),
        ),
        "7",
        Answers::from([("boom#1", Err("no"))]),
        expect![[r#"
             0s first#1(7)
             0s guard/a#1("first")
             0s finally guard#1("first")
             0s later#1("first")
             0s boom#1("later") fails
             0s undo later#1("later")
             0s undo guard/a#1("guard/a")
             0s undo first#1("first")
            failed: boom: no (error)
        "#]],
    );
    check(
        with("first(input) undo\n-> guard", attempt("guard", "first", "finally", "a(input) undo\n b(a)\n-> b", &[])),
        "7",
        Answers::from([("guard/b#1", Err("no"))]),
        expect![[r#"
             0s first#1(7)
             0s guard/a#1("first")
             0s guard/b#1("guard/a") fails
             0s undo guard/a#1("guard/a")
             0s finally guard#1("first")
             0s undo first#1("first")
            failed: guard/b: no (error)
        "#]],
    );
}

#[test]
fn what_cannot_be_called_in_the_end_is_a_failure_of_what_went_well() {
    let never = Answers::from([("finally guard#1", Err("no")), ("finally guard#2", Err("never"))]);
    check(
        with(
            "first(input) undo\n-> guard",
            attempt("guard", "first", "finally", "a(input) undo\n-> a", &[("*", "-> input")]),
        ),
        "7",
        never,
        expect![[r#"
             0s first#1(7)
             0s guard/a#1("first")
             0s finally guard#1("first") fails
             1s finally guard#2("first") fails
             1s undo guard/a#1("guard/a")
             1s undo first#1("first")
            failed: guard: never (error)
        "#]],
    );
}

#[test]
fn what_cannot_be_called_in_the_end_of_what_failed_is_stuck() {
    let never =
        Answers::from([("guard/a#1", Err("boom")), ("finally guard#1", Err("no")), ("finally guard#2", Err("never"))]);
    check(
        with("first(input) undo\n-> guard", attempt("guard", "first", "finally", "a(input) undo\n-> a", &[])),
        "7",
        never,
        expect![[r#"
             0s first#1(7)
             0s guard/a#1("first") fails
             0s finally guard#1("first") fails
             1s finally guard#2("first") fails
             1s undo first#1("first")
            stuck: 1 could not be undone (compensation)
        "#]],
    );
}

#[test]
fn a_handler_that_fails_fails_what_it_stands_in() {
    let handlers = [("*", "h(input) undo\n g(h)\n-> g")];
    check(
        with("-> guard", attempt("guard", "input", "finally", "a(input)\n-> a", &handlers)),
        "7",
        Answers::from([("guard/a#1", Err("no")), ("guard.*/g#1", Err("no either"))]),
        expect![[r#"
             0s guard/a#1(7) fails
             0s guard.*/h#1([{"kind":"error","message":"no","permanent":false,"node":"guard/a"},7])
             0s guard.*/g#1("guard.*/h") fails
             0s undo guard.*/h#1("guard.*/h")
             0s finally guard#1(7)
            failed: guard.*/g: no either (error)
        "#]],
    );
}

#[test]
fn what_else_is_under_way_in_it_is_stopped_and_awaited() {
    let body = "a(input)\n b(input) undo\n c(b)\n s(input) sleep 9\n r(input) retry 5\n-> c";
    check(
        with("other(input)\n-> guard", attempt("guard", "input", "", body, &[("*", "h(input)\n-> h")])),
        "7",
        Answers::from([("guard/a#1", Err("boom")), ("guard/r#1", Err("cut off"))]),
        expect![[r#"
             0s guard/a#1(7) fails
            stop guard/b#1
            stop guard/r#1
             0s guard/b#1(7)
             0s guard/r#1(7) fails
             0s other#1(7)
             0s undo guard/b#1("guard/b")
             0s guard.*/h#1([{"kind":"error","message":"boom","permanent":false,"node":"guard/a"},7])
            succeeded "guard.*/h"
        "#]],
    );
}

#[test]
fn an_undo_that_fails_for_good_ends_the_run_as_stuck_whatever_contains_it() {
    let body = "a(input) undo\n b(a) undo\n c(b)\n-> c";
    let never =
        Answers::from([("guard/c#1", Err("boom")), ("undo guard/b#1", Err("no")), ("undo guard/b#2", Err("never"))]);
    check(
        with("first(input) undo\n-> guard", attempt("guard", "first", "finally", body, &[("*", "-> input")])),
        "7",
        never,
        expect![[r#"
             0s first#1(7)
             0s guard/a#1("first")
             0s guard/b#1("guard/a")
             0s guard/c#1("guard/b") fails
             0s undo guard/b#1("guard/b") fails
             1s undo guard/b#2("guard/b") fails
             1s undo guard/a#1("guard/a")
             1s finally guard#1("first")
             1s undo first#1("first")
            stuck: 1 could not be undone (compensation)
        "#]],
    );
}

#[test]
fn tries_within_tries_contain_what_they_can() {
    let mut outer = attempt("outer", "input", "retry 1 finally", "x(input) undo\n-> inner", &[("*", "o(input)\n-> o")]);
    if let fastn_core::plan::DraftKind::Try { body, .. } = &mut outer.kind {
        body.nodes.push(attempt(
            "inner",
            "x",
            "retry 1 finally",
            "a(input) undo\n b(a)\n-> b",
            &[("timeout", "-> input")],
        ));
    }
    check(
        with("-> outer", outer),
        "7",
        Answers::from([
            ("outer/inner/b#1", Err("1")),
            ("outer/inner[1]/b#1", Err("2")),
            ("outer[1]/inner/b#1", Err("3")),
            ("outer[1]/inner[1]/b#1", Err("4")),
        ]),
        expect![[r#"
             0s outer/x#1(7)
             0s outer/inner/a#1("outer/x")
             0s outer/inner/b#1("outer/inner/a") fails
             0s undo outer/inner/a#1("outer/inner/a")
             1s outer/inner[1]/a#1("outer/x")
             1s outer/inner[1]/b#1("outer/inner[1]/a") fails
             1s undo outer/inner[1]/a#1("outer/inner[1]/a")
             1s finally outer/inner#1("outer/x")
             1s undo outer/x#1("outer/x")
             2s outer[1]/x#1(7)
             2s outer[1]/inner/a#1("outer[1]/x")
             2s outer[1]/inner/b#1("outer[1]/inner/a") fails
             2s undo outer[1]/inner/a#1("outer[1]/inner/a")
             3s outer[1]/inner[1]/a#1("outer[1]/x")
             3s outer[1]/inner[1]/b#1("outer[1]/inner[1]/a") fails
             3s undo outer[1]/inner[1]/a#1("outer[1]/inner[1]/a")
             3s finally outer[1]/inner#1("outer[1]/x")
             3s undo outer[1]/x#1("outer[1]/x")
             3s outer.*/o#1([{"kind":"error","message":"4","permanent":false,"node":"outer[1]/inner[1]/b"},7])
             3s finally outer#1(7)
            succeeded "outer.*/o"
        "#]],
    );
}

#[test]
fn what_fails_on_purpose_fails_with_its_kind_and_what_it_was_told() {
    check(
        draft("a(input) undo\n no(a) fail out_of_stock\n-> no"),
        "7",
        Answers::from([("a#1", Ok("\"no more of these\""))]),
        expect![[r#"
             0s a#1(7)
             0s undo a#1("no more of these")
            failed: no: no more of these (out_of_stock)
        "#]],
    );
    check(
        with(
            "-> guard",
            attempt("guard", "input", "", "no(input) fail sold_out\n-> no", &[("sold_out", "h(input)\n-> h")]),
        ),
        "{\"left\":0}",
        Answers::new(),
        expect![[r#"
             0s guard.sold_out/h#1([{"kind":"sold_out","message":"{\"left\":0}","permanent":false,"node":"guard/no"},{"left":0}])
            succeeded "guard.sold_out/h"
        "#]],
    );
}

#[test]
fn a_run_that_is_cancelled_while_a_scope_unwinds_undoes_everything_once() {
    let body = "a(input) undo\n b(a) undo\n c(b)\n-> c";
    let draft = with("first(input) undo\n-> guard", attempt("guard", "first", "finally", body, &[("*", "-> input")]));
    let mut world =
        World::new(draft, "7", Answers::from([("guard/c#1", Err("boom")), ("undo guard/b#1", Err("later"))]));
    for _ in 0..5 {
        world.step();
    }
    let event = world.machine.cancel("enough").expect("it goes on");
    world.event(event);
    while world.step() {}
    expect![[r#"
         0s first#1(7)
         0s guard/a#1("first")
         0s guard/b#1("guard/a")
         0s guard/c#1("guard/b") fails
         0s undo guard/b#1("guard/b") fails
        abort all
         1s undo guard/b#2("guard/b")
         1s undo guard/a#1("guard/a")
         1s finally guard#1("first")
         1s undo first#1("first")
        cancelled: enough (cancelled)
    "#]]
    .assert_eq(&world.log);
    assert!(matches!(world.machine.outcome(), Some(Outcome::Cancelled(_))));
}

#[test]
fn an_item_that_tries_is_like_any_other() {
    let mut items = each("items", "input", 2, "-> guard");
    if let fastn_core::plan::DraftKind::Each { body, .. } = &mut items.kind {
        body.nodes.push(attempt("guard", "input", "retry 1 finally", "a(input) undo\n-> a", &[("*", "-> '0'")]));
    }
    check(
        with("-> items", items),
        "[1,2,3]",
        Answers::from([
            ("items[0]/guard/a#1", Err("no")),
            ("items[1]/guard/a#1", Err("no")),
            ("items[1]/guard[1]/a#1", Err("no")),
        ]),
        expect![[r#"
             0s items[0]/guard/a#1(1) fails
             0s items[1]/guard/a#1(2) fails
             1s items[0]/guard[1]/a#1(1)
             1s items[1]/guard[1]/a#1(2) fails
             1s finally items[0]/guard#1(1)
             1s finally items[1]/guard#1(2)
             1s items[2]/guard/a#1(3)
             1s finally items[2]/guard#1(3)
            succeeded ["items[0]/guard[1]/a",0,"items[2]/guard/a"]
        "#]],
    );
}

/// Two that are tried beside each other, and something that fails when they do.
fn two() -> Draft {
    let body = "a(input) undo\n b(a)\n-> b";
    let mut draft = draft("first(input) undo\n slow(first) sleep 1\n boom(slow)\n-> boom");
    draft.root.nodes.push(attempt("one", "first", "finally", body, &[("*", "-> '1'")]));
    draft.root.nodes.push(attempt("two", "first", "finally", body, &[("*", "-> '2'")]));
    draft
}

#[test]
fn two_scopes_unwind_beside_each_other_each_with_what_was_done_in_it() {
    check(
        two(),
        "7",
        Answers::from([
            ("one/b#1", Err("no")),
            ("two/b#1", Err("nor this")),
            ("undo one/a#1", Err("later")),
            ("undo two/a#1", Err("later")),
        ]),
        expect![[r#"
             0s first#1(7)
             0s one/a#1("first")
             0s two/a#1("first")
             0s one/b#1("one/a") fails
             0s two/b#1("two/a") fails
             0s undo one/a#1("one/a") fails
             0s undo two/a#1("two/a") fails
             1s boom#1("first")
             1s undo one/a#2("one/a")
             1s undo two/a#2("two/a")
             1s finally one#1("first")
             1s finally two#1("first")
            succeeded "boom"
        "#]],
    );
}

#[test]
fn a_failure_outside_waits_for_scopes_that_unwind_and_undoes_the_rest() {
    check(
        two(),
        "7",
        Answers::from([("one/b#1", Err("no")), ("undo one/a#1", Err("later")), ("boom#1", Err("boom"))]),
        expect![[r#"
             0s first#1(7)
             0s one/a#1("first")
             0s two/a#1("first")
             0s one/b#1("one/a") fails
             0s two/b#1("two/a")
             0s undo one/a#1("one/a") fails
             0s finally two#1("first")
             1s boom#1("first") fails
             1s undo one/a#2("one/a")
             1s undo two/a#1("two/a")
             1s finally one#1("first")
             1s undo first#1("first")
            failed: boom: boom (error)
        "#]],
    );
}

#[test]
fn what_a_scope_that_is_given_up_is_up_to_can_be_asked() {
    let body = "a(input) undo\n b(a)\n-> b";
    let draft = with("-> guard", attempt("guard", "input", "retry 1 finally", body, &[]));
    let answers = Answers::from([
        ("guard/b#1", Err("no")),
        ("undo guard/a#1", Err("later")),
        ("guard[1]/b#1", Err("no")),
        ("finally guard#1", Err("not yet")),
    ]);
    let mut world = World::new(draft, "7", answers);
    let mut told = String::new();
    loop {
        for activity in world.machine.activities().expect("it can be asked") {
            told.push_str(&format!("{activity}; {} to undo\n", world.machine.to_undo()));
        }
        if !world.step() {
            break;
        }
    }
    expect![[r#"
        guard/a: attempt 1 is under way; 0 to undo
        guard/b: attempt 1 is under way; 0 to undo
        guard/a: attempt 1 of its undo is under way; 1 to undo
        guard/a: attempt 2 of its undo is due at 1970-01-01T00:00:01.000Z; 1 to undo
        guard: attempt 2 is due at 1970-01-01T00:00:02.000Z; 0 to undo
        guard[1]/b: attempt 1 is under way; 0 to undo
        guard[1]/a: attempt 1 of its undo is under way; 1 to undo
        guard: attempt 1 of its finally is under way; 1 to undo
        guard: attempt 2 of its finally is due at 1970-01-01T00:00:03.000Z; 1 to undo
    "#]]
    .assert_eq(&told);
}
