//! Every fault of a draft is found, all of them at once, each with the node's name.

use expect_test::{Expect, expect};
use fastn_core::plan::{DraftKind, DraftNode, DraftScope, Limits, NodeIx};
use fastn_core::{Address, Draft, Durability, Join, Retry, Tolerance};

use fastn_testkit::sketch::{attempt, draft, each, race, repeat, tolerant, when};

fn check(draft: Draft, expected: Expect) {
    let text = match draft.check_within(Limits::default().nodes(1_000)) {
        Ok(plan) => format!("{plan}\n"),
        Err(faults) => format!("{faults}\n"),
    };
    expected.assert_eq(&text);
}

#[test]
fn a_faultless_draft_becomes_a_plan() {
    check(
        draft("fetch(input)\n price(fetch)\n reserve(fetch)\n charge(price, reserve)\n-> charge"),
        expect![[r#"
            test v1
            ├─ fetch(input)
            ├─ price(fetch)
            ├─ reserve(fetch)
            └─ charge(price, reserve)
            -> charge
        "#]],
    );
}

#[test]
fn a_plan_says_what_its_runs_need() {
    let requires = vec!["gpu".to_owned(), "eu".to_owned(), "gpu".to_owned()];
    check(
        Draft { requires, ..draft("a(input)\n-> a") },
        expect![[r#"
            test v1 requires eu, gpu
            └─ a(input)
            -> a
        "#]],
    );
}

#[test]
fn a_tag_that_is_none_is_a_fault_beside_the_others() {
    let requires = vec![String::new(), "eu".to_owned(), "a\0b".to_owned()];
    check(
        Draft { requires, ..draft("a(a)\n-> a") },
        expect![[r#"
            3 faults in workflow "test"
              the tag "" is not valid: a name must not be empty
              the tag "a\0b" is not valid: a name must not hold control characters
              a cycle: a -> a
        "#]],
    );
}

#[test]
fn a_cycle_is_shown_with_its_path() {
    check(
        draft("a(input)\n b(a, e)\n c(b)\n d(c)\n e(d)\n f(e)\n-> f"),
        expect![[r#"
            2 faults in workflow "test"
              a cycle: b -> c -> d -> e -> b
              `f` can never start: it waits for `e`
        "#]],
    );
}

#[test]
fn a_node_that_waits_for_itself_is_a_cycle() {
    check(
        draft("a(a)\n-> a"),
        expect![[r#"
            1 fault in workflow "test"
              a cycle: a -> a
        "#]],
    );
}

#[test]
fn two_cycles_are_two_faults() {
    check(
        draft("a(b)\n b(a)\n c(d)\n d() after c\n-> a"),
        expect![[r#"
            2 faults in workflow "test"
              a cycle: c -> d -> c
              a cycle: a -> b -> a
        "#]],
    );
}

#[test]
fn names_are_checked() {
    let long = "x".repeat(100_000);
    let mut draft = draft(&format!("a(input)\n a(input)\n a(input)\n (input)\n {long}(input)\n-> a"));
    draft.name = " ".into();
    check(
        draft,
        expect![[r#"
            4 faults in workflow " "
              the workflow's name " " is not valid: a name must not be empty
              a node's name "" in the workflow is not valid: a name must not be empty
              a node's name "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"... in the workflow is not valid: a name must not be longer than 256 bytes
              `a` is the name of 3 nodes
        "#]],
    );
}

#[test]
fn edges_into_nothing_are_named_with_what_they_hold_up() {
    check(
        draft("a(input, nobody)\n b(a)\n c(b) after ghost\n d(input)\n-> gone"),
        expect![[r#"
            4 faults in workflow "test"
              `a` refers to `nobody`, which is not in its scope
              `c` refers to `ghost`, which is not in its scope
              `b` can never start: it waits for `a`
              the output of the workflow is `gone`, which is not in it
        "#]],
    );
}

#[test]
fn an_output_must_be_said() {
    check(
        draft("a(input)"),
        expect![[r#"
            1 fault in workflow "test"
              the workflow has no output
        "#]],
    );
}

#[test]
fn types_and_counts_are_compared_where_they_are_known() {
    let mut draft = draft("fetch(input)\n charge(fetch)\n ship(charge, fetch)\n-> ship");
    draft.root.input_type = Some("OrderId".into());
    draft.root.output_type = Some("Parcel".into());
    draft.root.nodes[0].input_types = Some(vec!["CustomerId".into()]);
    draft.root.nodes[0].output_type = Some("Order".into());
    draft.root.nodes[1].input_types = Some(vec!["Quote".into(), "Hold".into()]);
    draft.root.nodes[2].input_types = Some(vec!["Receipt".into(), "Order".into()]);
    draft.root.nodes[2].output_type = Some("Label".into());
    check(
        draft,
        expect![[r#"
            4 faults in workflow "test"
              `charge` takes 2 inputs but is given 1
              `fetch` takes `CustomerId` as input 1 but `the input` gives `OrderId`
              `charge` takes `Quote` as input 1 but `fetch` gives `Order`
              the output of the workflow is to be `Parcel` but `ship` gives `Label`
        "#]],
    );
}

#[test]
fn faults_inside_scopes_carry_their_path() {
    let mut draft = draft("-> 'null'");
    draft.root.nodes.push(each("lines", "input", 0, "label(label)\n-> label"));
    draft.root.nodes.push(when("risky", "input", &[("yes", "review(input)"), ("no", "-> lines")]));
    draft.root.nodes.push(when("never", "input", &[]));
    check(
        draft,
        expect![[r#"
            5 faults in workflow "test"
              `lines` can never end: its concurrency is 0
              `never` can never end: it has no arms
              a cycle: lines/label -> lines/label
              `risky.yes` has no output
              the output of `risky.no` is `lines`, which is not in it
        "#]],
    );
}

#[test]
fn labels_of_arms_are_checked() {
    let mut draft = draft("-> 'null'");
    draft.root.nodes.push(when("w", "input", &[("yes", "-> input"), ("yes", "-> input"), ("n\no", "-> input")]));
    check(
        draft,
        expect![[r#"
            2 faults in workflow "test"
              `w` has several arms "yes"
              the label "n\no" of an arm of `w` is not valid: a name must not hold control characters
        "#]],
    );
}

#[test]
fn many_faults_about_a_long_name_are_still_short() {
    let long = "x".repeat(100_000);
    let chain: String = (1..1_000).map(|i| format!("n{i}(n{})\n", i - 1)).collect();
    // Each of the thousand is told which one it waits for.
    let faults = draft(&format!("{long}(ghost)\n n0({long})\n {chain}-> n0")).check();
    let faults = faults.expect_err("it is full of faults").to_string();
    assert!(faults.len() < 2_000_000, "{} bytes", faults.len());
}

#[test]
fn too_many_nodes_are_refused_before_anything_else() {
    let mut draft = draft("-> 'null'");
    draft.root.nodes.extend((0..1_001).map(|i| DraftNode::new(format!("n{i}"), DraftKind::Step)));
    check(
        draft,
        expect![[r#"
            1 fault in workflow "test"
              1001 nodes are more than the 1000 that are allowed
        "#]],
    );
}

#[test]
fn too_deep_a_draft_is_refused_without_recursion() {
    let mut inner = DraftScope::default();
    for i in 0..1_000 {
        let mut node = each("d", "input", 1, "-> input");
        node.kind = DraftKind::Each { body: std::mem::take(&mut inner), concurrency: 1, tolerance: Tolerance::None };
        node.name = format!("d{i}");
        inner.nodes.push(node);
    }
    let faults = Draft { name: "deep".into(), root: inner, ..Draft::default() }.check().expect_err("too deep");
    assert!(faults.to_string().contains("stands 32 scopes deep"), "{faults}");
}

#[test]
fn a_long_chain_and_a_wide_fan_are_no_trouble() {
    let mut text = String::from("n0(input)\n");
    for i in 1..50_000 {
        text.push_str(&format!("n{i}(n{})\n", i - 1));
    }
    let chain = draft(&format!("{text}-> n49999")).check().expect("a chain is a plan");
    assert_eq!(chain.layers(fastn_core::plan::ScopeIx(0)).len(), 50_000);
    let back = draft(&format!("{text}back(n49999) after back\n-> back"));
    assert_eq!(back.check().expect_err("a cycle").faults.len(), 1);
}

#[test]
fn a_draft_of_any_depth_is_refused_without_exhausting_the_stack() {
    let mut draft = draft("-> input");
    for _ in 0..200_000 {
        let mut node = each("n", "input", 1, "-> input");
        node.kind =
            DraftKind::Each { body: std::mem::take(&mut draft.root), concurrency: 1, tolerance: Tolerance::None };
        draft.root.nodes.push(node);
    }
    let text = draft.check().expect_err("it is too deep").to_string();
    assert!(text.contains("32"), "{text}");
}

#[test]
fn no_two_nodes_have_the_same_path() {
    let mut draft = draft("lines[0]/x(input)\n lines/x(input)\n a.b(input)\n-> input");
    draft.root.nodes.push(each("lines", "input", 1, "x(input)\n-> x"));
    draft.root.nodes.push(when("a", "input", &[("b.c", "x(input)\n-> x")]));
    draft.root.nodes.push(when("a.b2", "input", &[("c", "x(input)\n-> x")]));
    let plan = draft.check().expect("a faultless draft");
    let paths: std::collections::BTreeSet<_> =
        (0..9).map(|i| plan.path_at(&Address { node: NodeIx(i), items: vec![0] })).collect();
    assert_eq!(paths.len(), 9, "{paths:?}");
    assert!(
        paths.contains("lines[0]/x") && paths.contains(r"lines\[0\]\/x") && paths.contains(r"a.b\.c/x"),
        "{paths:?}"
    );
}

#[test]
fn what_comes_from_outside_must_have_names_and_mean_one_thing() {
    let mut draft = draft(
        "a(input) wait x\n b(input) run w at_most_once\n c(input) wait y relaxed\n d(a, b) run w\n e(input) detach w within 3
         f(input) wait\n g(input) run\n-> a",
    );
    draft.root.nodes.push(when("either", "input", &[("yes", "again(input) first x\n-> again"), ("no", "-> input")]));
    draft.root.nodes.push(repeat("never", "input", 0, "deep(input) wait y\n-> deep"));
    check(
        draft,
        expect![[r#"
        8 faults in workflow "test"
          `b`: a run is started exactly once by itself
          `c`: a wait is durable by itself
          `d` takes 1 inputs but is given 2
          `e`: a time limit means nothing to a run that nobody ends: it is left or detached
          the signal "" that `f` waits for is not valid: a name must not be empty
          the workflow "" that `g` runs is not valid: a name must not be empty
          `never` can never end: it may repeat nothing
          `either.yes/again` and another node disagree on which values of "x" they take
    "#]],
    );
}

#[test]
fn what_contains_failure_is_checked() {
    let mut draft = draft("f(input) fail \n-> 'null'");
    let handlers = [("timeout", "-> input"), ("timeout", "-> input"), ("*", "-> input"), ("odd", "-> nobody")];
    let mut tried = attempt("tried", "input", "retry 1", "a(a)\n-> a", &handlers);
    tried.policy.within = Some(std::time::Duration::from_secs(1));
    tried.policy.undo = Some(Retry::none());
    tried.policy.on_error = true;
    tried.policy.durability = Durability::Relaxed;
    let mut none = race("none", "input", Join::Of(0), &[("one", "-> input"), ("one", "-> input")]);
    none.policy.retry = Retry::from(1);
    draft.root.nodes.extend([
        tried,
        none,
        race("few", "input", Join::Of(2), &[("one", "-> input")]),
        tolerant("more", "input", 0, Tolerance::Percent(101), "-> input"),
    ]);
    check(
        draft,
        expect![[r#"
        16 faults in workflow "test"
          the kind of failure "" that `f` names is not valid: a name must not be empty
          `tried` has several arms "timeout"
          `tried`: the handlers before one of its handlers take all that it would take
          `tried`: the handlers before one of its handlers take all that it would take
          `tried`: its scopes have durabilities of their own
          `tried`: a time limit means nothing to it: a race with a sleep does
          `tried`: it has nothing to undo but what its scopes can undo themselves
          `tried`: it has no work that an on_error could take over from
          `none` can never end: none of its arms need succeed
          `none` has several arms "one"
          `none`: a retry means nothing to it: a try around it does
          `few` can never end: it has fewer arms than must succeed
          `more`: more than 100 in a hundred of its items may fail
          `more` can never end: its concurrency is 0
          a cycle: tried/a -> tried/a
          the output of `tried.odd` is `nobody`, which is not in it
    "#]],
    );
}
