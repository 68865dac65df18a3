//! The functions behind the nodes: what goes in, what comes out, what is said when it cannot.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastn_core::{
    Attempt, Definition, Failure, FailureKind, Functions, Payload, RunId, StepCx, StepError, StepFn, StepInfo,
    TenantId, Version, WorkflowName,
};
use fastn_workflow::{Flow, Out, Work, workflow};
use serde_json::{Value, json};

use crate::shop::*;

/// Calls a function as an engine would: on another task, with payloads.
async fn call(function: &Arc<dyn StepFn>, node: &str, args: &[Value]) -> Result<Value, Failure> {
    let name = WorkflowName::new("test").expect("a name");
    let run = RunId::from_bytes([0; 16]);
    let info = StepInfo::new(TenantId::default(), run, name, Version(1), node.to_owned(), Attempt::FIRST);
    let args = args.iter().map(|arg| Payload::encode(arg).expect("JSON")).collect();
    let future = function.call(StepCx::detached(info), args);
    let outcome = tokio::spawn(future).await.expect("a step that does not panic");
    outcome.map(|payload| payload.decode().expect("JSON")).map_err(StepError::into_failure)
}

/// The functions of the only node of a flow.
fn only<I, O>(write: impl for<'f> FnOnce(Flow<'f>, Out<'f, I>) -> Out<'f, O>) -> Functions {
    of(workflow("test").define(write).expect("a faultless flow").definition())
}

fn of(definition: &Definition) -> Functions {
    let [node] = definition.plan().nodes() else { panic!("a flow of one node") };
    definition.functions(node.work.expect("a node with functions")).expect("functions").clone()
}

#[tokio::test]
async fn a_step_takes_and_gives_json() {
    let charge = only(|flow, quote| flow.step("charge", charge, (quote, flow.constant(Hold(7)))));
    assert_eq!(call(&charge.work, "charge", &[json!(30), json!(7)]).await, Ok(json!("30 for hold 7")));
}

#[tokio::test]
async fn a_step_takes_nothing_or_eight_values() {
    let nothing = only(|flow, _: Out<'_, ()>| flow.step("now", || async { Ok::<_, Shop>(1) }, ()));
    assert_eq!(call(&nothing.work, "now", &[]).await, Ok(json!(1)));

    #[rustfmt::skip]
    #[expect(clippy::too_many_arguments, reason = "the most there can be")]
    async fn eight(a: u8, b: u16, c: u32, d: u64, e: i8, f: i16, g: String, h: bool) -> Result<String, Shop> {
        Ok(format!("{a}{b}{c}{d}{e}{f}{g}{h}"))
    }
    let eight = only(|flow, a| {
        let (b, c, d) = (flow.constant(2), flow.constant(3), flow.constant(4));
        let (e, f, g) = (flow.constant(5), flow.constant(6), flow.constant("7".to_owned()));
        flow.step("eight", eight, (a, b, c, d, e, f, g, flow.constant(true)))
    });
    let args = [json!(1), json!(2), json!(3), json!(4), json!(5), json!(6), json!("7"), json!(true)];
    assert_eq!(call(&eight.work, "eight", &args).await, Ok(json!("1234567true")));
}

#[tokio::test]
async fn a_step_that_asks_for_its_context_gets_it() {
    async fn whoami(cx: StepCx, suffix: String) -> Result<String, Shop> {
        Ok(format!("{}{suffix}", cx.info().node))
    }
    let step = only(|flow, suffix| flow.step("whoami", whoami.retry(1), suffix));
    assert_eq!(call(&step.work, "each[3]/whoami", &[json!("!")]).await, Ok(json!("each[3]/whoami!")));

    let alone = only(|flow, _: Out<'_, ()>| {
        flow.step("alone", |cx: StepCx| async move { Ok::<_, Shop>(cx.info().attempt.0) }, ())
    });
    assert_eq!(call(&alone.work, "alone", &[]).await, Ok(json!(1)));
}

#[tokio::test]
async fn an_undo_takes_the_output_and_gives_nothing() {
    let step = only(|flow, order| flow.step("reserve", reserve.undo(release), order));
    let undo = step.undo.expect("an undo");
    assert_eq!(call(&undo, "reserve", &[json!(7)]).await, Ok(Value::Null));
    assert_eq!(call(&undo, "reserve", &[json!(8)]).await.expect_err("it is not known").message, "no such hold");

    let with_cx = |_: StepCx, _: Hold| async { Ok::<(), Shop>(()) };
    let step = only(|flow, order| flow.step("reserve", reserve.undo(with_cx), order));
    assert_eq!(call(&step.undo.expect("an undo"), "reserve", &[json!(7)]).await, Ok(Value::Null));
}

#[tokio::test]
async fn an_on_error_takes_the_failure_and_the_inputs() {
    let step = only(|flow, pair: Out<'_, Quote>| {
        flow.step("charge", charge.on_error(charge_later), (pair, flow.constant(Hold(1))))
    });
    let failure = serde_json::to_value(Failure::new("card_declined".into(), "no money")).expect("JSON");
    let given = call(&step.on_error.expect("an on_error"), "charge", &[failure, json!(30), json!(1)]).await;
    let key = format!("{}/00000000-0000-0000-0000-000000000000/work/charge", TenantId::default());
    assert_eq!(given, Ok(json!(format!("{key}: no money (card_declined), owes 30"))));
}

#[tokio::test]
async fn an_error_is_recorded_with_its_kind() {
    async fn decline(_: ()) -> Result<(), StepError> {
        Err(StepError::permanent("no money").of_kind("card_declined"))
    }
    let step = only(|flow, x| flow.step("decline", decline, x));
    let failure = call(&step.work, "decline", &[Value::Null]).await.expect_err("it declines");
    assert_eq!((failure.kind.as_str(), &*failure.message, failure.permanent), ("card_declined", "no money", true));
}

/// What is said of a value that cannot be read or written: permanent, of the kind `invalid`.
fn said(outcome: Result<Value, Failure>) -> String {
    let failure = outcome.expect_err("an invalid value");
    assert_eq!((failure.kind, failure.permanent), (FailureKind::INVALID, true));
    format!("{}: {}", failure.message, failure.chain.last().map_or("", String::as_str))
}

#[tokio::test]
async fn a_wrong_value_is_named_by_its_place_and_type() {
    let two = only(|flow, quote| {
        let later = charge.on_error(charge_later).undo(|_: Receipt| async { Ok::<(), Shop>(()) });
        flow.step("charge", later, (quote, flow.constant(Hold(7))))
    });
    let one = only(|flow, order| flow.step("price", price, order));
    assert_eq!(
        said(call(&two.work, "charge", &[json!(30), json!("x")]).await),
        "input 2 of 2 of `charge` is not a `Hold`: invalid type: string \"x\", expected u64 at line 1 column 3"
    );
    assert_eq!(
        said(call(&one.work, "a[2]/price", &[json!(1)]).await),
        "input of `a[2]/price` is not a `Order`: invalid type: integer `1`, expected a sequence at line 1 column 1"
    );
    assert_eq!(
        said(call(&two.undo.expect("an undo"), "charge", &[json!(1)]).await),
        "input of the undo of `charge` is not a `Receipt`: invalid type: integer `1`, expected a string at line 1 column 1"
    );
    assert_eq!(
        said(call(&two.on_error.expect("an on_error"), "charge", &[json!(1), json!(2), json!(3)]).await),
        "input 1 of 3 of the on_error of `charge` is not a `Failure`: invalid type: integer `1`, expected struct Failure \
         at line 1 column 1"
    );
    assert_eq!(said(call(&two.work, "charge", &[]).await), "`charge` takes 2 inputs but was given 0: ");
}

#[tokio::test]
async fn an_output_that_json_cannot_hold_is_named() {
    async fn grid(_: ()) -> Result<BTreeMap<(u8, u8), u8>, Shop> {
        Ok(BTreeMap::from([((1, 2), 3)]))
    }
    let step = only(|flow, x| flow.step("grid", grid, x));
    assert_eq!(
        said(call(&step.work, "grid", &[Value::Null]).await),
        "the output of `grid` is a `BTreeMap<(u8, u8), u8>` that JSON cannot hold: key must be a string"
    );
}

#[tokio::test]
async fn a_choice_gives_the_number_of_its_arm() {
    let when = only(|flow, n| flow.when("big", |n: &u32| *n > 9, n, |_, n| n, |_, n| n));
    assert_eq!(call(&when.work, "big", &[json!(10)]).await, Ok(json!(0)));
    assert_eq!(call(&when.work, "big", &[json!(9)]).await, Ok(json!(1)));
    assert!(said(call(&when.work, "big", &[json!("x")]).await).starts_with("input of `big` is not a `u32`"));
}

#[tokio::test]
async fn a_join_gives_a_tuple() {
    let pair = only(|flow, n: Out<'_, u32>| flow.join("pair", (n, flow.constant("x".to_owned()))));
    assert_eq!(call(&pair.work, "pair", &[json!(1), json!("x")]).await, Ok(json!([1, "x"])));
    let one = only(|flow, n: Out<'_, u32>| flow.join("one", n));
    assert_eq!(call(&one.work, "one", &[json!(1)]).await, Ok(json!([1])));
    let none = only(|flow, _: Out<'_, ()>| flow.join("none", ()));
    assert_eq!(call(&none.work, "none", &[]).await, Ok(Value::Null));
}

#[tokio::test]
async fn a_call_with_an_undo_has_no_function_of_its_own() {
    let undo = |_: Posted| async { Ok::<(), Shop>(()) };
    let call_node = only(|flow, note| flow.call("tell", slack::POST.undo(undo), note));
    assert_eq!(call(&call_node.undo.expect("an undo"), "tell", &[json!(1)]).await, Ok(Value::Null));
    let failure = call(&call_node.work, "tell", &[json!("x")]).await.expect_err("a connector does it");
    assert_eq!(failure.message, "`tell` has no function of its own");
}
