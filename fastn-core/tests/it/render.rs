//! What people see of a plan.

use expect_test::expect;
use fastn_core::plan::{DraftKind, DraftNode, DraftSource};
use fastn_core::{ActionRef, Draft, Payload, Plan, Retry, StepPolicy};

use fastn_testkit::sketch::{draft, each, repeat, when};

fn sample() -> Plan {
    let mut draft = draft("fetch(input)\n rest(fetch) sleep\n tell(rest, '\"hi \\\"you\\\"\"') after lines\n-> lines");
    draft.root.nodes.push(each("lines", "fetch", 4, "label(input)\n-> label"));
    draft.root.nodes.push(when("risky", "fetch", &[("yes", "review(input)\n-> review"), ("no", "-> input")]));
    draft.root.nodes[0].policy =
        StepPolicy { retry: Retry::from(5), undo: Some(Retry::none()), on_error: true, ..StepPolicy::default() };
    draft.check().expect("a faultless draft")
}

#[test]
fn as_a_tree() {
    expect![[r#"
        test v1
        ├─ fetch(input) retry 5 undo on_error
        ├─ lines(fetch) each, 4 at a time
        │  item -> label
        │    └─ label(input)
        ├─ rest(fetch) sleeps 1s
        ├─ risky(fetch) when
        │  yes -> review
        │    └─ review(input)
        │  no -> input
        └─ tell(rest, "hi \"you\"") after lines
        -> lines
    "#]]
    .assert_eq(&format!("{}\n", sample()));
}

#[test]
fn as_mermaid() {
    expect![[r#"
        flowchart TD
            in0([input])
            n0["fetch"]
            in0 --> n0
            n1[/"lines"/]
            subgraph s1["each item, 4 at a time"]
                in1([input])
                n5["label"]
                in1 --> n5
                out1([output])
                n5 --> out1
            end
            n1 -- "each item, 4 at a time" --> in1
            n0 --> n1
            n2(["rest<br/>1s"])
            n0 --> n2
            n3{"risky"}
            subgraph s2["yes"]
                in2([input])
                n6["review"]
                in2 --> n6
                out2([output])
                n6 --> out2
            end
            n3 -- "yes" --> in2
            subgraph s3["no"]
                in3([input])
                out3([output])
                in3 --> out3
            end
            n3 -- "no" --> in3
            n0 --> n3
            n4["tell"]
            n2 --> n4
            n1 -.-> n4
            out0([output])
            n1 --> out0
    "#]]
    .assert_eq(&sample().to_mermaid());
}

#[test]
fn as_dot() {
    expect![[r#"
        digraph "test" {
            node [shape=box];
            in0 [label="input", shape=plaintext];
            out0 [label="output", shape=plaintext];
            n0 [label="fetch", shape=box];
            in0 -> n0;
            n1 [label="lines\neach, 4 at a time", shape=box3d];
            n0 -> n1;
            subgraph cluster_1 {
                label="item";
                in1 [label="input", shape=plaintext];
                out1 [label="output", shape=plaintext];
                n5 [label="label", shape=box];
                in1 -> n5;
                n5 -> out1;
            }
            n1 -> in1 [label="item", style=dotted];
            n2 [label="rest\nsleep 1s", shape=oval];
            n0 -> n2;
            n3 [label="risky", shape=diamond];
            n0 -> n3;
            subgraph cluster_2 {
                label="yes";
                in2 [label="input", shape=plaintext];
                out2 [label="output", shape=plaintext];
                n6 [label="review", shape=box];
                in2 -> n6;
                n6 -> out2;
            }
            n3 -> in2 [label="yes", style=dotted];
            subgraph cluster_3 {
                label="no";
                in3 [label="input", shape=plaintext];
                out3 [label="output", shape=plaintext];
                in3 -> out3;
            }
            n3 -> in3 [label="no", style=dotted];
            n4 [label="tell", shape=box];
            n2 -> n4;
            n1 -> n4 [style=dashed];
            n1 -> out0;
        }
    "#]]
    .assert_eq(&sample().to_dot());
}

#[test]
fn as_editor_json() {
    let json: serde_json::Value = serde_json::from_str(&sample().to_editor_json().expect("JSON")).expect("JSON");
    let ids: Vec<_> = json["nodes"].as_array().expect("nodes").iter().map(|n| n["id"].as_str().expect("id")).collect();
    expect![[r#"
        @input
        @output
        fetch
        lines
        lines/@input
        lines/@output
        lines/label
        rest
        risky
        risky.yes/@input
        risky.yes/@output
        risky.yes/review
        risky.no/@input
        risky.no/@output
        tell
    "#]]
    .assert_eq(&format!("{}\n", ids.join("\n")));
    assert!(json["nodes"].as_array().expect("nodes").iter().all(|n| n["position"]["x"].is_number()));
    assert!(
        json["edges"].as_array().expect("edges").iter().all(|e| e["source"].is_string() && e["target"].is_string())
    );
}

/// Draws a draft and reads it back; tells what it says then.
fn read_back(draft: Draft) -> String {
    let plan = draft.check().expect("a faultless draft");
    let json = plan.to_editor_json().expect("JSON");
    let read = Draft::from_editor_json(&json).expect("our own JSON").check().expect("a plan");
    assert_eq!(read.hash(), plan.hash(), "{json}");
    read.to_string()
}

#[test]
fn names_that_look_like_ids_are_told_apart() {
    let mut draft = draft("a/b(input)\n @input(a/b)\n @output(@input)\n a.yes/b(input)\n-> @output");
    draft.root.nodes.push(each("a", "input", 1, "b(input)\n-> b"));
    draft.root.nodes.push(when("w", "input", &[("x", "-> input"), ("x.y/z", "b(input)\n-> b")]));
    read_back(draft);
}

#[test]
fn what_is_nowhere_or_twice_is_refused() {
    let json = sample().to_editor_json().expect("JSON");
    let graph: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let says = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut graph = graph.clone();
        change(&mut graph);
        let error = Draft::from_editor_json(&graph.to_string()).expect_err("it is no graph");
        std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default()
    };
    let node = |graph: &mut serde_json::Value, id: &str| {
        graph["nodes"].as_array().expect("nodes").iter().position(|node| node["id"] == id).expect("a node")
    };
    let stray = says(&|graph| {
        let at = node(graph, "lines/label");
        graph["nodes"][at]["parentId"] = "ghost".into();
    });
    assert_eq!(stray, "an edge leads from here to another scope");
    let lost = says(&|graph| {
        let at = node(graph, "risky");
        graph["nodes"][at]["data"]["arms"] = serde_json::json!(["yes"]);
    });
    assert_eq!(lost, "it stands inside of nothing");
    let twice = says(&|graph| {
        let at = node(graph, "tell");
        graph["nodes"][at]["id"] = "fetch".into();
    });
    assert_eq!(twice, "there are two nodes with this id");
    let nothing = says(&|graph| graph["edges"][0]["source"] = "ghost".into());
    assert_eq!(nothing, "an edge ends here, where nothing is");
}

#[test]
fn texts_of_strangers_break_no_lines() {
    let mut draft = draft("a(input, '1')\n-> a");
    let action = ActionRef { connector: "x\n\u{1b}[2J".into(), action: "\"".into() };
    draft
        .root
        .nodes
        .push(DraftNode { inputs: vec![DraftSource::Input], ..DraftNode::new("c", DraftKind::Call(action)) });
    draft.root.nodes[0].inputs[1] = DraftSource::Constant(Payload::json("[1,\n2]"));
    let plan = draft.check().expect("a faultless draft");
    assert_eq!(plan.to_string().lines().count(), 4, "{plan}");
    for picture in [plan.to_string(), plan.to_dot(), plan.to_mermaid()] {
        assert!(!picture.contains('\u{1b}') && !picture.contains("x\n"), "{picture}");
    }
}

#[test]
fn what_comes_from_outside_and_what_is_repeated() {
    let mut draft = draft(
        "paid(input) wait payment within 3\n go(input) first \"go\"\n ship(input) run shipping\n bill(input) leave <b>
         tell(input) detach tell\n-> ship",
    );
    draft.root.nodes.push(repeat("poll", "paid", 9, "ask(input)\n-> ask"));
    let plan = draft.check().expect("a faultless draft");
    expect![[r#"
        test v1
        ├─ bill(input) runs <b>, left when cancelled
        ├─ go(input) waits for the first "go"
        ├─ paid(input) waits for payment within 3s
        ├─ ship(input) runs shipping
        ├─ tell(input) runs tell, detached
        └─ poll(paid) repeats, at most 9 times
           again -> ask
             └─ ask(input)
        -> ship
    "#]]
    .assert_eq(&format!("{plan}\n"));
    expect![[r#"
        flowchart TD
            in0([input])
            n0[["bill<br/>run #60;b#62;, left when cancelled"]]
            in0 --> n0
            n1(["go<br/>wait for the first #34;go#34;"])
            in0 --> n1
            n2(["paid<br/>wait for payment"])
            in0 --> n2
            n4[["ship<br/>run shipping"]]
            in0 --> n4
            n5[["tell<br/>run tell, detached"]]
            in0 --> n5
            n3[/"poll"/]
            subgraph s1["again, at most 9 times"]
                in1([input])
                n6["ask"]
                in1 --> n6
                out1([output])
                n6 --> out1
            end
            n3 -- "again, at most 9 times" --> in1
            n2 --> n3
            out0([output])
            n4 --> out0
    "#]]
    .assert_eq(&plan.to_mermaid());
    expect![[r#"
        digraph "test" {
            node [shape=box];
            in0 [label="input", shape=plaintext];
            out0 [label="output", shape=plaintext];
            n0 [label="bill\nrun <b>, left when cancelled", shape=folder];
            in0 -> n0;
            n1 [label="go\nwait for the first \"go\"", shape=oval];
            in0 -> n1;
            n2 [label="paid\nwait for payment", shape=oval];
            in0 -> n2;
            n4 [label="ship\nrun shipping", shape=folder];
            in0 -> n4;
            n5 [label="tell\nrun tell, detached", shape=folder];
            in0 -> n5;
            n3 [label="poll\nrepeat, at most 9 times", shape=box3d];
            n2 -> n3;
            subgraph cluster_1 {
                label="again";
                in1 [label="input", shape=plaintext];
                out1 [label="output", shape=plaintext];
                n6 [label="ask", shape=box];
                in1 -> n6;
                n6 -> out1;
            }
            n3 -> in1 [label="again", style=dotted];
            n4 -> out0;
        }
    "#]]
    .assert_eq(&plan.to_dot());
}
