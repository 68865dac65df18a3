//! Graphs that are known only at run time.

use expect_test::expect;
use fastn_core::{ActionRef, Durability, Payload, StepCx, StepError, Version};
use fastn_workflow::{Graph, secs};

async fn first(_: StepCx, inputs: Vec<Payload>) -> Result<Payload, StepError> {
    Ok(inputs.into_iter().next().unwrap_or(Payload::null()))
}

#[test]
fn nodes_are_wired_by_name_in_any_order() {
    let mut graph = Graph::new("mosaic").version(Version(2)).deadline(secs(60));
    graph.output("fit");
    graph.step("fit", first).needs(["right", "left"]).given(Payload::json("1")).retry(3).within(secs(9));
    for side in ["left", "right"] {
        graph.step(side, first).takes_input().undo(first).on_error(first).deadline(secs(30));
    }
    graph.step("clean up", first).after(["fit", "left"]).durability(Durability::Relaxed);
    let post = ActionRef { connector: "slack".into(), action: "post".into() };
    graph.call("tell", post).needs(["fit"]);
    let mosaic = graph.check().expect("a faultless graph");
    expect![[r#"
        mosaic v2
        ├─ left(input) deadline 30s undo on_error
        ├─ right(input) deadline 30s undo on_error
        ├─ fit(right, left, 1) retry 3 within 9s
        ├─ clean up() after fit, left
        └─ tell(fit) calls slack.post
        -> fit
    "#]]
    .assert_eq(&format!("{}\n", mosaic.plan()));
    let functions = |name| {
        let node = mosaic.plan().node(mosaic.plan().find(name).expect("a node"));
        node.work.map(|ix| mosaic.definition().functions(ix).expect("functions").undo.is_some())
    };
    assert_eq!(["left", "fit", "tell"].map(functions), [Some(true), Some(false), None]);
}

#[test]
fn every_fault_is_found_at_once() {
    let mut graph = Graph::new("broken");
    graph.step("a", first).needs(["b"]);
    graph.step("b", first).after(["a"]);
    graph.step("c", first).needs(["d"]);
    graph.step("c", first);
    expect![[r#"
        4 faults in workflow "broken"
          `c` is the name of 2 nodes
          `c` refers to `d`, which is not in its scope
          a cycle: a -> b -> a
          the workflow has no output"#]]
    .assert_eq(&graph.check().expect_err("a broken graph").to_string());
}

#[test]
fn a_graph_of_thousands_with_wide_fan_in_is_checked() {
    let mut graph = Graph::new("survey");
    let name = |n| format!("task {n}");
    for n in 0..1_100 {
        graph.step(name(n), first).takes_input();
    }
    graph.step("all", first).needs((0..1_100).map(name));
    for n in 1_100..2_121 {
        graph.step(name(n), first).after(["all"]);
    }
    graph.no_output();
    let survey = graph.check().expect("a faultless graph");
    assert_eq!((survey.plan().nodes().len(), survey.plan().edge_count()), (2_122, 2_121));
}
