//! A plan's identity is what it says, not how it was written down.

use std::time::Duration;

use fastn_core::plan::Position;
use fastn_core::{Draft, Join, Plan, Retry, Tolerance, Version};
use proptest::prelude::*;

use fastn_testkit::sketch::{attempt, draft, each, race, repeat, tolerant, when};

fn plan(draft: Draft) -> Plan {
    draft.check().expect("a faultless draft")
}

const SHOP: &str = "fetch(input)\n price(fetch)\n reserve(fetch)\n charge(price, reserve)\n-> charge";

#[test]
fn order_of_declaration_and_layout_do_not_matter() {
    let one = plan(draft(SHOP));
    let mut other = draft("charge(price, reserve)\n reserve(fetch)\n price(fetch)\n fetch(input)\n-> charge");
    other.root.nodes[0].position = Some(Position { x: 3.0, y: 4.0 });
    other.root.nodes[1].output_type = Some("Hold".into());
    let other = plan(other);
    assert_eq!(one.hash(), other.hash());
    assert_eq!(one.shape(), other.shape());
}

#[test]
fn everything_that_is_said_matters() {
    let one = plan(draft(SHOP));
    let changed = |change: fn(&mut Draft)| {
        let mut draft = draft(SHOP);
        change(&mut draft);
        let plan = plan(draft);
        (plan.hash() != one.hash(), plan.shape() != one.shape())
    };
    assert_eq!(changed(|_| {}), (false, false));
    assert_eq!(changed(|d| d.version = Version(2)), (true, false));
    assert_eq!(changed(|d| d.name = "other".into()), (true, false));
    assert_eq!(changed(|d| d.root.nodes[1].policy.retry = Retry::from(3)), (true, false));
    assert_eq!(changed(|d| d.root.nodes[3].inputs.swap(0, 1)), (true, true));
    assert_eq!(changed(|d| d.root.nodes[2].after.push("price".into())), (true, true));
    assert_eq!(changed(|d| d.root.nodes.truncate(4)), (false, false));
    assert_eq!(changed(|d| d.root.output = Some(fastn_core::plan::DraftSource::Input)), (true, true));
}

#[test]
fn concurrency_is_no_part_of_the_shape() {
    let with = |concurrency| {
        let mut draft = draft("-> lines");
        draft.root.nodes.push(each("lines", "input", concurrency, "label(input)\n-> label"));
        plan(draft)
    };
    assert_ne!(with(1).hash(), with(2).hash());
    assert_eq!(with(1).shape(), with(2).shape());
}

#[test]
fn the_hash_of_a_known_plan_never_changes() {
    // Journals on disk refer to these: a change here strands every run in flight.
    assert_eq!(plan(draft(SHOP)).hash().to_string(), "bd35b82d98007301");
    assert_eq!(plan(draft(SHOP)).shape().to_string(), "7a44a6f79a97b84f");
}

/// Runs in flight go on under a plan that needs another executor, and no journal is stranded.
#[test]
fn what_runs_need_is_in_the_hash_and_not_in_the_shape() {
    let with = |tags: &[&str]| {
        let requires = tags.iter().map(ToString::to_string).collect();
        plan(Draft { requires, ..draft(SHOP) })
    };
    assert_eq!(with(&[]).hash(), plan(draft(SHOP)).hash());
    assert_ne!(with(&["gpu"]).hash(), with(&[]).hash());
    assert_ne!(with(&["gpu"]).hash(), with(&["eu"]).hash());
    assert_eq!(with(&["gpu", "eu"]).hash(), with(&["eu", "gpu", "eu"]).hash(), "tags are a set");
    assert_eq!(with(&["gpu"]).shape(), with(&[]).shape());
}

#[test]
fn what_is_waited_for_and_what_is_run_matter() {
    let both = |text: &str| {
        let plan = plan(draft(&format!("{text}\n-> 'null'")));
        (plan.hash(), plan.shape())
    };
    let of = ["a(input) wait x", "a(input) wait y", "a(input) first x", "a(input) run x", "a(input) leave x"];
    let hashes: std::collections::BTreeSet<String> =
        of.iter().map(|text| both(text)).flat_map(|(hash, shape)| [hash.to_string(), shape.to_string()]).collect();
    assert_eq!(hashes.len(), 2 * of.len());
    let (within, without) = (both("a(input) wait x within 3"), both("a(input) wait x"));
    assert!(within.0 != without.0 && within.1 == without.1, "how long it waits is a policy");
    let most = |most| {
        let mut draft = draft("-> poll");
        draft.root.nodes.push(repeat("poll", "input", most, "-> input"));
        plan(draft)
    };
    assert!(most(2).hash() != most(3).hash() && most(2).shape() == most(3).shape());
}

#[test]
fn what_becomes_of_failures_matters_to_runs_in_flight() {
    let with = |node| {
        let mut draft = draft("-> 'null'");
        draft.root.nodes.push(node);
        let plan = plan(draft);
        (plan.hash().to_string(), plan.shape().to_string())
    };
    let tried = |adverbs, kind| attempt("n", "input", adverbs, "-> input", &[(kind, "-> input")]);
    let raced = |join| race("n", "input", join, &[("one", "-> input"), ("two", "-> input")]);
    let some = |tolerance| tolerant("n", "input", 2, tolerance, "-> input");
    let all = [
        with(tried("", "*")),
        with(tried("", "timeout")),
        with(tried("finally", "*")),
        with(raced(Join::First)),
        with(raced(Join::Of(1))),
        with(raced(Join::Of(2))),
        with(some(Tolerance::None)),
        with(some(Tolerance::All)),
        with(some(Tolerance::Failures(1))),
        with(some(Tolerance::Failures(2))),
        with(some(Tolerance::Percent(1))),
    ];
    let different: std::collections::BTreeSet<_> = all.iter().flat_map(|(hash, shape)| [hash, shape]).collect();
    assert_eq!(different.len(), 2 * all.len());
    assert_eq!(all[6], with(each("n", "input", 2, "-> input")));
    let again = with(tried("retry 3", "*"));
    assert!(again.0 != all[0].0 && again.1 == all[0].1, "how often it is done again is a policy");
}

#[test]
fn a_plan_drawn_in_an_editor_and_read_back_is_the_same_plan() {
    let mut draft = draft(
        "fetch(input)\n rest(fetch) sleep\n note(fetch, '{\"a\":[1]}') after rest\n paid(fetch, rest) wait payment within 3
         go(rest) first go on_error\n ship(fetch) run shipping undo\n bill(fetch) leave billing\n tell(fetch) detach tell\n-> 'null'",
    );
    draft.root.nodes.push(repeat("poll", "fetch", 9, "ask(input)\n-> ask"));
    draft.root.nodes.push(each("lines", "fetch", 4, "label(input)\n weigh(label)\n-> weigh"));
    draft.root.nodes.push(when("risky", "fetch", &[("yes", "review(input)\n-> review"), ("no", "-> input")]));
    let handlers = [("timeout", "h(input)\n-> h"), ("*", "-> '1'")];
    let mut tried = attempt("tried", "fetch", "retry 2 finally", "do(input) undo\n-> deep", &handlers);
    if let fastn_core::plan::DraftKind::Try { body, .. } = &mut tried.kind {
        body.nodes.push(race(
            "deep",
            "do",
            Join::Of(2),
            &[("a", "x(input)\n-> x"), ("b", "-> input"), ("c", "no(input) fail odd\n-> no")],
        ));
    }
    draft.root.nodes.push(tried);
    draft.root.nodes.push(race(
        "first",
        "fetch",
        Join::First,
        &[("one", "-> input"), ("two", "s(input) sleep 3\n-> s")],
    ));
    draft.root.nodes.push(tolerant("some", "fetch", 3, Tolerance::Percent(10), "t(input)\n-> t"));
    draft.root.nodes[0].policy.retry = Retry::from(3).except("fatal");
    draft.deadline = Some(std::time::Duration::from_secs(60));
    draft.requires = vec!["gpu".to_owned(), "eu".to_owned()];
    let plan = plan(draft);
    let json = plan.to_editor_json().expect("constants are JSON");
    let back = Draft::from_editor_json(&json).expect("our own JSON").check().expect("a plan");
    assert_eq!(back.hash(), plan.hash());
    assert_eq!(back.to_editor_json().expect("constants are JSON"), json);
}

proptest! {
    /// Any order of declaration of any acyclic graph gives the same numbering, hash and shape.
    #[test]
    fn shuffled_declarations_hash_alike(
        edges in proptest::collection::vec((0..30_usize, 0..30_usize), 0..120),
        order in Just((0..30_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let line = |i: usize| {
            let inputs: Vec<String> = edges.iter().filter(|(a, b)| a < b && *b == i).map(|(a, _)| format!("n{a}")).collect();
            format!("n{i}({})\n", inputs.join(", "))
        };
        let straight: String = (0..30).map(line).collect();
        let shuffled: String = order.into_iter().map(line).collect();
        let (a, b) = (plan(draft(&format!("{straight}-> n29"))), plan(draft(&format!("{shuffled}-> n29"))));
        prop_assert_eq!(a.hash(), b.hash());
        prop_assert_eq!(a.to_string(), b.to_string());
    }
}

#[test]
fn a_span_longer_than_any_number_has_a_hash() {
    let hash = |micros: u128| {
        let mut draft = draft("a(input)\n-> a");
        draft.deadline = Some(Duration::new((micros / 1_000_000) as u64, (micros % 1_000_000) as u32 * 1_000));
        draft.check().expect("a plan").hash()
    };
    assert_ne!(hash(u128::from(u64::MAX)), hash(0));
    assert_eq!(hash(u128::from(u64::MAX) + 1_000), hash(u128::from(u64::MAX)));
}

#[test]
fn another_text_of_a_function_makes_another_plan_of_the_same_shape() {
    let with = |code: Option<&str>| {
        let mut draft = draft(SHOP);
        draft.root.nodes[0].code = code.map(str::to_owned);
        plan(draft)
    };
    assert_eq!(with(None).hash(), plan(draft(SHOP)).hash());
    assert_ne!(with(Some(".a")).hash(), with(None).hash());
    assert_ne!(with(Some(".a")).hash(), with(Some(".b")).hash());
    assert_eq!(with(Some(".a")).shape(), with(None).shape(), "runs in flight go on");
    let drawn = with(Some(".a")).to_editor_json().unwrap();
    let back = Draft::from_editor_json(&drawn).unwrap().check().unwrap();
    assert_eq!(back.hash(), with(Some(".a")).hash(), "an editor gives it back");
}
