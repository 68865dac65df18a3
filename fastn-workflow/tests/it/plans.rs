//! Every verb and adverb, as the plan it makes.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use fastn_core::{Arrived, Durability, Failure, PlanFaults, Retry, Settled, StepPolicy, Tolerance, Workflow};
use fastn_workflow::{Flow, Out, Work, days, hours, millis, minutes, secs, workflow};

use crate::shop::*;

/// Compares the tree of a plan.
fn check<I, O>(workflow: Result<Workflow<I, O>, PlanFaults>, tree: Expect) -> Workflow<I, O> {
    let workflow = workflow.expect("a faultless flow");
    tree.assert_eq(&format!("{}\n", workflow.plan()));
    workflow
}

/// Compares the faults of a flow.
fn faults<I, O>(workflow: Result<Workflow<I, O>, PlanFaults>, text: Expect) {
    text.assert_eq(&format!("{}\n", workflow.expect_err("a faulty flow")));
}

#[test]
fn steps_are_wired_by_their_ports() {
    let checkout = workflow("checkout").version(3).deadline(hours(2)).define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        let quote = flow.step("price", price, order);
        let hold = flow.step("reserve", reserve.undo(release), order);
        flow.step("charge", charge.retry(5).within(secs(10)), (quote, hold))
    });
    let checkout: Workflow<OrderId, Receipt> = check(
        checkout,
        expect![[r#"
            checkout v3
            ├─ fetch(input)
            ├─ price(fetch)
            ├─ reserve(fetch) undo
            └─ charge(price, reserve) retry 5 within 10s
            -> charge
        "#]],
    );
    assert_eq!(checkout.plan().deadline(), Some(secs(7_200)));
    assert_eq!(checkout.plan().nodes()[0].output_type.as_deref(), Some("Receipt"));
}

#[test]
fn adverbs_say_how() {
    let careful = workflow("careful").define(|flow, id| {
        let order = flow.step("fetch", fetch.retry(Retry::fixed(secs(1))).durability(Durability::Relaxed), id);
        let hold = flow.step("reserve", reserve.undo_with(release, 2).durability(Durability::AtMostOnce), order);
        let quote = flow.step("price", price.after(hold).deadline(minutes(3)), order);
        let none = |_: Failure, _: Quote, _: Hold| async { Ok::<_, Shop>(Receipt("none".into())) };
        flow.step("charge", charge.on_error(none).after((order, id, flow.constant(1))), (quote, hold))
    });
    let careful = check(
        careful,
        expect![[r#"
            careful v1
            ├─ fetch(input) retry
            ├─ reserve(fetch) undo
            ├─ price(fetch) after reserve deadline 180s
            └─ charge(price, reserve) after fetch on_error
            -> charge
        "#]],
    );
    let policy = |name| &careful.plan().node(careful.plan().find(name).expect("a node")).policy;
    assert_eq!(policy("fetch").durability, Durability::Relaxed);
    assert_eq!(policy("reserve").durability, Durability::AtMostOnce);
    assert_eq!(policy("reserve").undo, Some(Retry::from(2)));
    assert_eq!(policy("price").undo, None);
}

#[test]
fn an_undo_is_tried_ten_times_more_if_nothing_is_said() {
    let flow = workflow("undo").define(|flow, order| flow.step("reserve", reserve.undo(release), order));
    assert_eq!(flow.expect("a flow").plan().nodes()[0].policy.undo, Some(StepPolicy::default_undo()));
}

#[test]
fn calls_are_wired_by_constants() {
    let tell = workflow("tell").define(|flow, receipt| {
        let note = flow.step("word", tell, receipt);
        flow.call("post", slack::POST, note);
        let undo = |_: Posted| async { Ok::<(), Shop>(()) };
        flow.call("post again", slack::POST.retry(3).within(millis(500)).undo(undo).after(receipt), note)
    });
    let tell: Workflow<Receipt, Posted> = check(
        tell,
        expect![[r#"
            tell v1
            ├─ word(input)
            ├─ post(word) calls slack.post
            └─ post again(word) calls slack.post retry 3 within 500ms undo
            -> post again
        "#]],
    );
    let works: Vec<_> = tell.plan().nodes().iter().map(|node| (node.name.as_str(), node.work.is_some())).collect();
    assert_eq!(works, [("post", false), ("post again", true), ("word", true)]);
}

fn by_hand<'f>(flow: Flow<'f>, quote: Out<'f, Quote>) -> Out<'f, Quote> {
    let review = |quote: Quote| async { Ok::<_, Shop>(quote) };
    flow.step("review", review, quote)
}

fn at_once<'f>(_: Flow<'f>, quote: Out<'f, Quote>) -> Out<'f, Quote> {
    quote
}

fn is_risky(quote: &Quote) -> bool {
    quote.0 > 1_000
}

#[test]
fn arms_and_bodies_are_functions_or_closures() {
    let all = workflow("all").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        let quote = flow.step("price", price, order);
        let quote = flow.when("risky", is_risky, quote, by_hand, at_once);
        let lines = flow.step("lines", lines, order);
        let labels = flow.each("labels", lines, |flow, line| flow.step("label", label, line));
        flow.each("print", labels.at_most(4), |flow, label| {
            flow.when(
                "empty",
                |label: &Label| label.0.is_empty(),
                label,
                |flow, _| flow.constant(false),
                |flow, label| flow.step("printed", |_: Label| async { Ok::<_, Shop>(true) }, label),
            )
        });
        flow.sleep("cool down", days(1), quote)
    });
    let _: Workflow<OrderId, Quote> = check(
        all,
        expect![[r#"
            all v1
            ├─ fetch(input)
            ├─ lines(fetch)
            ├─ price(fetch)
            ├─ labels(lines) each, 16 at a time
            │  item -> label
            │    └─ label(input)
            ├─ risky(price) when
            │  yes -> review
            │    └─ review(input)
            │  no -> input
            ├─ cool down(risky) sleeps 86400s
            └─ print(labels) each, 4 at a time
               item -> empty
                 └─ empty(input) when
                    yes -> false
                    no -> printed
                      └─ printed(input)
            -> cool down
        "#]],
    );
}

#[test]
fn ports_are_joined_to_one_value() {
    let both = workflow("both").define(|flow, order| {
        let quote = flow.step("price", price, order);
        let pair = flow.join("pair", (quote, flow.constant(5_u64)));
        flow.when("dear", |(quote, most): &(Quote, u64)| quote.0 > *most, pair, |_, pair| pair, |_, pair| pair)
    });
    let _: Workflow<Order, (Quote, u64)> = check(
        both,
        expect![[r#"
            both v1
            ├─ price(input)
            ├─ pair(price, 5)
            └─ dear(pair) when
               yes -> input
               no -> input
            -> dear
        "#]],
    );
}

#[test]
fn a_part_of_a_flow_is_a_function() {
    fn quoted<'f>(flow: Flow<'f>, id: Out<'f, OrderId>) -> (Out<'f, Order>, Out<'f, Quote>) {
        let order = flow.step("fetch", fetch, id);
        (order, flow.step("price", price, order))
    }
    let part = workflow("part").define(|flow, id| {
        let (order, quote) = quoted(flow, id);
        flow.step("reserve", reserve.after(quote), order)
    });
    let _ = check(
        part,
        expect![[r#"
            part v1
            ├─ fetch(input)
            ├─ price(fetch)
            └─ reserve(fetch) after price
            -> reserve
        "#]],
    );
}

#[test]
fn names_are_durable_and_variables_are_not() {
    let one = workflow("same").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        let quote = flow.step("price", price, order);
        let hold = flow.step("reserve", reserve, order);
        flow.step("charge", charge, (quote, hold))
    });
    let other = workflow("same").define(|f, x| {
        let a = f.step("fetch", fetch, x);
        let b = f.step("reserve", reserve, a);
        let c = f.step("price", price, a);
        f.step("charge", charge, (c, b))
    });
    assert_eq!(one.expect("a flow").plan().hash(), other.expect("a flow").plan().hash());
}

#[test]
fn what_the_compiler_cannot_see_is_a_fault() {
    faults(
        workflow("").define(|flow, id| {
            let order = flow.step("fetch", fetch, id);
            let lines = flow.step("fetch", lines, order);
            flow.each("lines", lines.at_most(0), |flow, line| flow.step(" ", label, line));
            flow.when(
                "risky",
                |_: &Order| true,
                order,
                |_, order| order,
                |flow, _| {
                    flow.constant(BTreeMap::from([((1, 2), 3)]));
                    flow.constant(Order(vec![]))
                },
            )
        }),
        expect![[r#"
            5 faults in workflow ""
              a constant `BTreeMap<(i32, i32), i32>` cannot be written as JSON: key must be a string
              the workflow's name "" is not valid: a name must not be empty
              `lines` can never end: its concurrency is 0
              `fetch` is the name of 2 nodes
              a node's name " " in `lines` is not valid: a name must not be empty
        "#]],
    );
}

#[test]
fn failures_are_contained_by_what_is_tried_raced_and_tolerated() {
    let all = workflow("all").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        let none = |_: (Failure, Order)| async { Ok::<_, Shop>(Hold(0)) };
        let close = |_: Order| async { Ok::<(), Shop>(()) };
        let hold = flow
            .attempt("hold", order, |flow, order| flow.step("reserve", reserve.undo(release), order))
            .retry(2)
            .catch("sold_out", |flow, failed| flow.step("none", none, failed))
            .catch_all(|flow, failed| flow.fail("give up", "no_hold", failed))
            .finally(close)
            .done();
        let quotes = flow
            .race("quotes", order)
            .arm("shop", |flow, order| flow.step("price", price, order))
            .arm("flat", |flow, _| flow.constant(Quote(9)));
        let quote: Out<'_, Quote> = quotes.first();
        let both: Out<'_, Vec<Arrived<Quote>>> = flow
            .race("both", order)
            .arm("shop", |flow, order| flow.step("price", price, order))
            .arm("flat", |flow, _| flow.constant(Quote(9)))
            .quorum(2);
        let lines = flow.step("lines", lines.after(both), order);
        let labels: Out<'_, Vec<Settled<Label>>> =
            flow.each("labels", lines.at_most(4).tolerating(Tolerance::Failures(2)), |flow, line| {
                flow.step("label", label, line)
            });
        // None that may fail is said in the same words.
        let _: Out<'_, Vec<Settled<Line>>> = flow.each("same", lines.tolerating(Tolerance::None), |_, line| line);
        flow.step("charge", charge.after(labels), (quote, hold))
    });
    let all: Workflow<OrderId, Receipt> = check(
        all,
        expect![[r#"
        all v1
        ├─ fetch(input)
        ├─ both(fetch) races, first 2 win
        │  shop -> price
        │    └─ price(input)
        │  flat -> 9
        ├─ hold(fetch) tries retry 2 finally
        │  try -> reserve
        │    └─ reserve(input) undo
        │  catch sold_out -> none
        │    └─ none(input)
        │  catch * -> give up
        │    └─ give up(input) fails with no_hold
        ├─ quotes(fetch) races, first wins
        │  shop -> price
        │    └─ price(input)
        │  flat -> 9
        ├─ lines(fetch) after both
        ├─ labels(lines) each, 4 at a time, 2 may fail
        │  item -> label
        │    └─ label(input)
        ├─ same(lines) each, 16 at a time, 0 may fail
        │  item -> input
        └─ charge(quotes, hold) after labels
        -> charge
    "#]],
    );
    let policy = |path: &str| &all.plan().node(all.plan().find(path).expect("a node")).kind;
    let fastn_core::plan::NodeKind::Try(guarded) = policy("hold") else { panic!("it is tried") };
    assert_eq!(guarded.finally, Some(StepPolicy::default_undo()));
}
