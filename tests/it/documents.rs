//! Workflows that were written as documents run like any others.

use fastn::connectors::Registry;
use fastn::connectors::echo::Echo;
use fastn::documents::{Document, Tasks};
use fastn::prelude::*;
use serde_json::{Value, json};

use crate::world::{Log, builder, failure_of, memory, noted, on_every_store};

const ORDER: &str = r#"
fastn: "1"
name: order
nodes:
  price:
    transform: { cents: "${ [.lines[] | .price * .count] | add }", for: "${ .customer }" }
  check:
    switch:
      - name: large
        when: ${ .cents > 1000 }
        nodes:
          review: { wait: { signal: reviewed, take: first } }
        gives: { by: "${ $nodes.review }" }
      - gives: nobody
    in: ${ $nodes.price }
  pack:
    each: ${ .lines }
    at_most: 2
    nodes:
      box:
        task: box
        in: { line: "${ . }", fragile: "${ .kind == \"glass\" }" }
        retry: { attempts: 3, backoff: fixed, wait: 0s }
  countdown:
    repeat: { until: "${ .left == 0 }", at_most: 10 }
    in: { left: "${ .lines | length }" }
    nodes:
      less: { transform: { left: "${ .left - 1 }" } }
  label:
    call: echo.say
    in: { to: "${ $nodes.price.for }", boxes: "${ $nodes.pack }" }
    needs: [countdown]
gives:
  label: ${ $nodes.label }
  checked: ${ $nodes.check }
  left: ${ $nodes.countdown.left }
"#;

fn tasks(log: &Log) -> Tasks {
    let log = log.clone();
    Tasks::new().task("box", move |value: Value| {
        let log = log.clone();
        async move {
            log.note(format!("box {}", value["line"]["kind"]));
            if log.count(&format!("box {}", value["line"]["kind"])) == 1 {
                return Err(StepError::new("the tape has run out"));
            }
            Ok(json!([value["line"]["kind"], value["fragile"]]))
        }
    })
}

fn input(price: u64) -> Value {
    json!({
        "customer": "ann",
        "lines": [{"kind": "glass", "price": price, "count": 2}, {"kind": "wood", "price": 5, "count": 1}],
    })
}

#[tokio::test]
async fn a_document_runs_with_every_kind_of_node_it_has() {
    on_every_store("documents", async |store| {
        let log = Log::default();
        let order = Document::read("order.yaml", ORDER).unwrap().workflow(&tasks(&log)).unwrap();
        let connectors = Registry::new().with(Echo::new()).unwrap();
        let engine = builder().store(store).connectors(connectors).serve(&order).open().await.unwrap();
        let small = engine.start(&order, input(10)).await.unwrap().output().await.unwrap();
        let boxes = json!([["glass", true], ["wood", false]]);
        let label = json!({"to": "ann", "boxes": boxes});
        assert_eq!(small, json!({"label": label, "checked": "nobody", "left": 0}));
        assert_eq!(log.take().len(), 4, "each failed once and was tried again");

        let large = engine.start(&order, input(1_000)).await.unwrap();
        large.signal(Signal::<String>::new("reviewed").first(), &"bob".to_owned()).await.unwrap();
        let large = large.output().await.unwrap();
        assert_eq!(large["checked"], json!({"by": "bob"}));
        engine.shutdown().await.unwrap();
    })
    .await;
}

fn small(nodes: &str) -> Document {
    Document::read("small.yaml", &format!("fastn: \"1\"\nname: small\n{nodes}")).unwrap()
}

#[tokio::test]
async fn an_expression_that_never_ends_fails_its_run_and_no_other() {
    let hostile = small("gives: ${ [repeat(1)] }").workflow(&Tasks::new()).unwrap();
    let engine = builder().store(memory()).serve(&hostile).open().await.unwrap();
    let (_, failure) = failure_of(&engine.start(&hostile, json!(1)).await.unwrap()).await;
    assert_eq!((failure.kind.as_str(), failure.node.as_deref()), ("too_large", Some("(gives)")));
    assert_eq!(failure.message, "an expression was stopped: it takes too many steps");
}

#[tokio::test]
async fn what_fails_can_be_handled_and_what_was_done_is_undone() {
    let log = Log::default();
    let note = |name: &'static str| {
        let log = log.clone();
        move |value: Value| {
            log.note(format!("{name} {value}"));
            async move { Ok(value) }
        }
    };
    let fails = |_: Value| async { Err::<Value, _>(StepError::permanent("no").of_kind("declined")) };
    let tasks = Tasks::new().task("reserve", note("reserve")).task("release", note("release")).task("charge", fails);
    let handled = small(
        "nodes:\n  charge: { task: charge, in: { n: '${ .n + 1 }' }, on_error: { gives: ['${ .n }', '${ $error.kind }'] } }",
    );
    let undone = Document::read(
        "undone.yaml",
        "fastn: \"1\"\nname: undone\nnodes:\n  hold: { task: reserve, undo: release }\n  charge: { task: charge, in: '${ $nodes.hold }' }",
    );
    let (handled, undone) = (handled.workflow(&tasks).unwrap(), undone.unwrap().workflow(&tasks).unwrap());
    let engine = builder().store(memory()).serve(&handled).serve(&undone).open().await.unwrap();
    let output = engine.start(&handled, json!({"n": 1})).await.unwrap().output().await.unwrap();
    assert_eq!(output, json!([2, "declined"]));
    let (_, failure) = failure_of(&engine.start(&undone, json!(7)).await.unwrap()).await;
    assert_eq!(failure.kind.as_str(), "declined");
    assert_eq!(log.take(), ["reserve 7", "release 7"]);
}

#[test]
fn a_changed_expression_is_another_plan_of_the_same_shape() {
    let plan = |nodes: &str| small(nodes).workflow(&Tasks::any()).unwrap().plan().clone();
    for (one, other) in [
        ("gives: ${ .a + 1 }", "gives: ${ .a + 2 }"),
        ("nodes: { a: { task: x } }", "nodes: { a: { task: y } }"),
        ("nodes: { a: { task: x, in: ['${ .a }'] } }", "nodes: { a: { task: x, in: ['${ .b }'] } }"),
        ("nodes: { a: { task: x, undo: y } }", "nodes: { a: { task: x, undo: z } }"),
        ("nodes: { a: { task: x, on_error: { gives: 1 } } }", "nodes: { a: { task: x, on_error: { gives: 2 } } }"),
        (
            "nodes: { a: { repeat: { while: '${ .a }', at_most: 2 } } }",
            "nodes: { a: { repeat: { until: '${ .a }', at_most: 2 } } }",
        ),
        ("nodes: { a: { switch: [{ when: '${ .a }' }, {}] } }", "nodes: { a: { switch: [{ when: '${ .b }' }, {}] } }"),
    ] {
        let (one, other) = (plan(one), plan(other));
        assert_ne!(one.hash(), other.hash(), "{one}\n{other}");
        assert_eq!(one.shape(), other.shape(), "{one}\n{other}");
    }
}

async fn back(_: u64) -> Result<(), StepError> {
    Ok(())
}

async fn gone(_: Failure, _: Vec<u64>) -> Result<u64, StepError> {
    Ok(0)
}

/// A constant whose fields are in an order of their own.
#[derive(serde::Serialize, serde::Deserialize)]
struct More {
    z: u64,
    a: (String, f64),
}

/// A typed workflow with everything that documents can say of one.
fn typed(log: &Log) -> Workflow<Vec<u64>, u64> {
    const PAID: Signal<u64> = Signal::new("paid");
    const SELF: Child<Vec<u64>, u64> = Child::new("typed");
    let noted = |what: &'static str| noted(log, what);
    workflow("typed")
        .version(2)
        .define(|flow, lines| {
            let boxes = flow.each("pack", lines.at_most(3), |flow, line| {
                let one = flow.step("box", noted("box").retry(2).undo(back), line);
                flow.sleep("rest", millis(1_500), one)
            });
            let sum = flow.step("sum", async |boxes: Vec<u64>| Ok::<u64, StepError>(boxes.iter().sum()), boxes);
            let more = flow.constant(More { z: 1, a: ("${ . }".to_owned(), 1.5) });
            let pair = flow.join("pair", (sum, more));
            let chosen = flow.when(
                "large",
                |(sum, _): &(u64, More)| *sum > 10,
                pair,
                |flow, _| flow.constant(1_u64),
                |flow, pair| flow.step("first", async |(sum, _): (u64, More)| Ok::<u64, StepError>(sum), pair),
            );
            let paid = flow.wait("payment", PAID.within(days(3)), chosen);
            let left = flow.repeat(
                "down",
                5,
                |n: &u64| *n > 0,
                paid,
                |flow, n| flow.step("less", async |n: u64| Ok::<u64, StepError>(n - 1), n),
            );
            let some = flow.constant(vec![1_u64, 2]).at_most(2).tolerating(Tolerance::Percent(50));
            let settled = flow.each("some", some, |flow, n| flow.step("one", noted("one"), n));
            let instead = async |(_, n): (Failure, u64)| Ok::<u64, StepError>(n);
            let tried = flow
                .attempt("guard", left, |flow, n| flow.step("charge", noted("charge").undo(back), n))
                .retry(2)
                .catch("declined", |flow, failed| flow.step("instead", instead, failed))
                .catch_all(|flow, failed| flow.fail("give up", "given_up", failed))
                .finally(back)
                .done();
            let first =
                flow.race("first", tried).arm("one", |flow, n| flow.step("a", noted("a"), n)).arm("two", |_, n| n);
            let first = first.first();
            let votes = flow.race("votes", first).arm("one", |_, n| n).arm("two", |_, n| n).quorum(2);
            let none = async |_: u64| Ok::<Vec<u64>, StepError>(Vec::new());
            let list = flow.step("none", none.after((settled, votes)), first);
            flow.run("again", SELF.leave().on_error(gone), list)
        })
        .unwrap()
}

#[test]
fn a_typed_workflow_is_a_document_whose_tasks_have_the_names_of_its_nodes() {
    let flow = typed(&Log::default());
    let document = fastn::documents::render(flow.plan()).unwrap();
    let read = Document::read("typed.json", &document).unwrap();
    let back = read.workflow(&Tasks::any()).unwrap();
    assert_eq!((back.plan().hash(), back.plan().shape()), (flow.plan().hash(), flow.plan().shape()), "{document}");
    let missing = read.workflow(&Tasks::new()).unwrap_err().to_string();
    for task in [
        "pack/box",
        "pack/box.undo",
        "sum",
        "pair",
        "large",
        "large.no/first",
        "down",
        "down/less",
        "again.on_error",
        "some/one",
        "guard/charge.undo",
        "guard.declined/instead",
        "guard.finally",
        "first.one/a",
    ] {
        assert!(missing.contains(&format!("there is no task `{task}`")), "{task}: {missing}");
    }
}

/// The examples of a page: a document, and what is given, told and expected.
fn examples(page: &str) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = Vec::new();
    let mut document = None;
    for block in page.split("\n```").map(str::trim_end) {
        if let Some(text) = block.strip_prefix("yaml\n") {
            document = Some(text.to_owned());
        } else if let Some(text) = block.strip_prefix("json\n") {
            found.push((document.take().unwrap(), serde_json::from_str(text).unwrap()));
        }
    }
    assert_eq!(document, None, "an example without its result");
    found
}

/// Runs the examples of a page.
async fn run_examples(page: &str) -> Vec<(String, Value)> {
    let page = std::fs::read_to_string(format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let examples = examples(&page);
    let number = |payload: Option<&Payload>| payload.unwrap().decode::<u64>();
    let add = move |_: StepCx, args: Vec<Payload>| -> fastn::core::BoxFuture<'static, Result<Payload, StepError>> {
        Box::pin(async move { Ok(Payload::encode(&(number(args.first())? + number(args.get(1))?))?) })
    };
    let tasks = Tasks::new()
        .task("double", async |n: Value| Ok(json!(n.as_u64().unwrap() * 2)))
        .task("close", async |_: Value| Ok(Value::Null))
        .task("decline", async |_: Value| Err(StepError::new("no money").of_kind("declined")))
        .step("add", add);
    let read = |text: &String| Document::read("example.yaml", text).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
    let workflows: Vec<_> = examples.iter().map(|(text, _)| read(text).workflow(&tasks).unwrap()).collect();
    let connectors = Registry::new().with(Echo::new()).unwrap();
    let builder = builder().store(memory()).connectors(connectors);
    let engine = workflows.iter().fold(builder, |builder, flow| builder.serve(flow)).open().await.unwrap();
    for (workflow, (text, says)) in workflows.iter().zip(&examples) {
        let run = engine.start(workflow, says["input"].clone()).await.unwrap();
        for (signal, value) in says["signals"].as_object().into_iter().flatten() {
            engine.runs().signal_named(&TenantId::default(), run.id(), signal, Payload::encode(value)).await.unwrap();
        }
        assert_eq!(run.output().await.unwrap(), says["output"], "{text}");
    }
    engine.shutdown().await.unwrap();
    examples
}

#[tokio::test]
async fn every_example_of_the_page_about_documents_gives_what_it_says() {
    let examples = run_examples("documents.md").await;
    for kind in ["transform", "task", "call", "switch", "each", "repeat", "try", "race", "wait", "sleep", "run", "fail"]
    {
        let words = [format!("{{ {kind}:"), format!("    {kind}:\n"), format!("    {kind}: ")];
        let said = |text: &str| words.iter().any(|word| text.contains(word));
        assert!(examples.iter().any(|(document, _)| said(document)), "{kind} has no example");
    }
}

#[tokio::test]
async fn every_workflow_pattern_has_an_example_that_runs_or_a_reason() {
    let examples = run_examples("patterns.md").await;
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/patterns.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |")).collect();
    assert_eq!(rows.len(), 43);
    for (number, row) in (1..).zip(rows) {
        assert!(row.starts_with(&format!("| {number} |")), "{row}");
        for link in row.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            assert!(examples.iter().any(|(text, _)| text.contains(&format!("name: {link}\n"))), "{link}");
        }
    }
}

/// Documents of CNCF Serverless Workflow: tasks, what a run is given, and what it gives.
const SERVERLESS: &[(&str, &str, &str)] = &[
    ("- a: { set: { n: '${ .n + 1 }', all: '${ $workflow.input }' } }", r#"{"n": 1}"#, r#"{"n": 2, "all": {"n": 1}}"#),
    (
        "- outer:\n    do:\n      - a: { set: { n: '${ .n * 2 }' } }\n      - a2: { set: { n: '${ .n + 1 }' } }\n    output: { as: '{ n: .n, before: $input.n }' }",
        r#"{"n": 5}"#,
        r#"{"n": 11, "before": 5}"#,
    ),
    (
        "- outer:\n    do:\n      - a: { set: { n: 1 }, then: exit }\n      - b: { set: { n: 2 } }\n- last: { set: { n: '${ .n + 10 }' } }",
        "{}",
        r#"{"n": 11}"#,
    ),
    (
        "- ask: { if: .n > 3, set: { large: true } }\n- keep: { set: { seen: '${ . }' } }",
        r#"{"n": 1}"#,
        r#"{"seen": {"n": 1}}"#,
    ),
    (
        "- sum:\n    for: { each: line, in: .lines, at: i }\n    while: (.total // 0) < 6\n    do:\n      - add: { set: { total: '${ (.total // 0) + $line * ($i + 1) }' } }",
        r#"{"lines": [1, 2, 3, 4]}"#,
        // 1, then 5, then 14, which is enough.
        r#"{"total": 14}"#,
    ),
    (
        "- outer:\n    for: { each: a, in: .rows }\n    do:\n      - inner:\n          for: { each: b, in: $a }\n          do:\n            - add: { set: { all: '${ (.all // []) + [[$a[0], $b]] }', rows: '${ .rows }' } }",
        r#"{"rows": [[1, 2], [3]]}"#,
        r#"{"all": [[1, 1], [1, 2], [3, 3]], "rows": [[1, 2], [3]]}"#,
    ),
    (
        "- pick:\n    switch:\n      - low: { when: .n < 5, then: small }\n      - other: { then: large }\n- small: { set: { size: small }, then: last }\n- large: { set: { size: large } }\n- last: { set: { size: '${ .size + \"!\" }' } }",
        r#"{"n": 1}"#,
        r#"{"size": "small!"}"#,
    ),
    (
        "- both:\n    fork:\n      branches:\n        - left: { set: { side: left, n: '${ .n }' } }\n        - right:\n            do:\n              - one: { set: { n: '${ .n + 1 }' } }\n              - two: { set: { side: right, n: '${ .n + 1 }' } }",
        r#"{"n": 1}"#,
        r#"[{"side": "left", "n": 1}, {"side": "right", "n": 3}]"#,
    ),
    (
        "- both:\n    fork:\n      compete: true\n      branches:\n        - late: { wait: { hours: 1 } }\n        - soon:\n            do:\n              - one: { set: { n: '${ .n + 1 }' } }\n- last: { set: { n: '${ .n * 10 }' } }",
        r#"{"n": 1}"#,
        r#"{"n": 20}"#,
    ),
    (
        "- keep: { set: { n: 1 }, export: { as: '{ kept: .n }' } }\n- pause: { wait: { milliseconds: 5 } }\n- use: { input: { from: '{ x: .n }' }, set: { x: '${ .x }', kept: '${ $context.kept }' }, output: { as: '. + { in: $input }' } }",
        "{}",
        r#"{"x": 1, "kept": 1, "in": {"x": 1}}"#,
    ),
    (
        "- child: { run: { workflow: { namespace: test, name: sw0, version: '1.0.0', input: { n: '${ .m }' } } } }",
        r#"{"m": 6}"#,
        r#"{"n": 7, "all": {"n": 6}}"#,
    ),
];

#[tokio::test]
async fn a_document_of_serverless_workflow_runs_as_its_specification_says() {
    let document = |(number, (tasks, ..)): (usize, &(&str, &str, &str))| {
        let head = format!("document: {{ dsl: '1.0.0', namespace: test, name: sw{number}, version: '1.0.0' }}\ndo:\n");
        let text = head + &tasks.lines().map(|line| format!("  {line}\n")).collect::<String>();
        let document = Document::read("sw.yaml", &text).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        document.workflow(&Tasks::new()).unwrap()
    };
    let workflows: Vec<_> = SERVERLESS.iter().enumerate().map(document).collect();
    let builder = builder().store(memory());
    let engine = workflows.iter().fold(builder, |builder, flow| builder.serve(flow)).open().await.unwrap();
    for (workflow, (text, input, output)) in workflows.iter().zip(SERVERLESS) {
        let (input, output): (Value, Value) =
            (serde_json::from_str(input).unwrap(), serde_json::from_str(output).unwrap());
        let run = engine.start(workflow, input).await.unwrap();
        assert_eq!(run.output().await.unwrap(), output, "{text}\n{}", workflow.plan());
        let rendered = fastn::documents::render(workflow.plan()).unwrap();
        let again = Document::read("again.json", &rendered).unwrap().workflow(&Tasks::new()).unwrap();
        assert_eq!(again.plan().hash(), workflow.plan().hash(), "one language is read into the other");
    }
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn many_expressions_of_one_value_cost_no_more_than_one() {
    let dear = "${ [range(100000)] | length }";
    let list = format!("gives: [{}]", vec![format!("\"{dear}\""); 60].join(", "));
    let arms = format!("{{ when: '{}' }}", dear.replace("length", "length < 0"));
    let arms = format!("nodes: {{ pick: {{ switch: [{}, {{}}] }} }}", vec![arms; 60].join(", "));
    let one = format!("gives: \"{dear}\"");
    let flow = |name: &str, rest: &str| {
        let text = format!("fastn: \"1\"\nname: {name}\n{rest}");
        Document::read("dear.yaml", &text).unwrap().workflow(&Tasks::new()).unwrap()
    };
    let flows = [flow("one", &one), flow("list", &list), flow("arms", &arms)];
    let engine =
        flows.iter().fold(builder().store(memory()), |builder, flow| builder.serve(flow)).open().await.unwrap();
    let [one, list, arms] = &flows;
    assert_eq!(engine.start(one, json!(null)).await.unwrap().output().await.unwrap(), json!(100_000));
    for flow in [list, arms] {
        let (_, failure) = failure_of(&engine.start(flow, json!(null)).await.unwrap()).await;
        assert_eq!(failure.message, "an expression was stopped: it takes too many steps", "{}", flow.plan());
    }
}
