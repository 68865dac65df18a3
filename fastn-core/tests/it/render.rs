//! What people see of a plan.

use expect_test::expect;
use fastn_core::plan::{DraftKind, DraftNode, DraftSource};
use fastn_core::{ActionRef, Draft, Join, Payload, Plan, Retry, StepPolicy, Tolerance};

use fastn_testkit::sketch::{attempt, draft, each, race, repeat, tolerant, when};

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

#[test]
fn what_contains_failure() {
    let mut draft = draft("stop(input) fail \"odd\"\n-> pay");
    let handlers = [("declined", "ask(input)\n-> ask"), ("*", "-> 'null'")];
    draft.root.nodes.push(attempt("pay", "input", "retry 2 finally", "charge(input) undo\n-> charge", &handlers));
    let arms = [("one", "-> input"), ("two", "rest(input) sleep 3\n-> rest")];
    draft.root.nodes.push(race("quick", "pay", Join::First, &arms));
    draft.root.nodes.push(race("most", "pay", Join::Of(2), &arms));
    draft.root.nodes.push(tolerant("some", "pay", 4, Tolerance::Percent(10), "-> input"));
    let plan = draft.check().expect("a faultless draft");
    expect![[r#"
        test v1
        ├─ pay(input) tries retry 2 finally
        │  try -> charge
        │    └─ charge(input) undo
        │  catch declined -> ask
        │    └─ ask(input)
        │  catch * -> null
        ├─ stop(input) fails with "odd"
        ├─ most(pay) races, first 2 win
        │  one -> input
        │  two -> rest
        │    └─ rest(input) sleeps 3s
        ├─ quick(pay) races, first wins
        │  one -> input
        │  two -> rest
        │    └─ rest(input) sleeps 3s
        └─ some(pay) each, 4 at a time, 10 % may fail
           item -> input
        -> pay
    "#]]
    .assert_eq(&format!("{plan}\n"));
    expect![[r#"
        flowchart TD
            in0([input])
            n1[/"pay<br/>try"/]
            subgraph s3["try"]
                in3([input])
                n6["charge"]
                in3 --> n6
                out3([output])
                n6 --> out3
            end
            n1 -- "try" --> in3
            subgraph s4["catch declined"]
                in4([input])
                n7["ask"]
                in4 --> n7
                out4([output])
                n7 --> out4
            end
            n1 -- "catch declined" --> in4
            subgraph s5["catch *"]
                in5([input])
                out5([output])
            end
            n1 -- "catch *" --> in5
            in0 --> n1
            n4{{"stop<br/>fail #34;odd#34;"}}
            in0 --> n4
            n0[/"most<br/>race, first 2 win"/]
            subgraph s1["one"]
                in1([input])
                out1([output])
                in1 --> out1
            end
            n0 -- "one" --> in1
            subgraph s2["two"]
                in2([input])
                n5(["rest<br/>3s"])
                in2 --> n5
                out2([output])
                n5 --> out2
            end
            n0 -- "two" --> in2
            n1 --> n0
            n2[/"quick<br/>race, first wins"/]
            subgraph s6["one"]
                in6([input])
                out6([output])
                in6 --> out6
            end
            n2 -- "one" --> in6
            subgraph s7["two"]
                in7([input])
                n8(["rest<br/>3s"])
                in7 --> n8
                out7([output])
                n8 --> out7
            end
            n2 -- "two" --> in7
            n1 --> n2
            n3[/"some"/]
            subgraph s8["each item, 4 at a time, 10 % may fail"]
                in8([input])
                out8([output])
                in8 --> out8
            end
            n3 -- "each item, 4 at a time, 10 % may fail" --> in8
            n1 --> n3
            out0([output])
            n1 --> out0
    "#]]
    .assert_eq(&plan.to_mermaid());
    expect![[r#"
        digraph "test" {
            node [shape=box];
            in0 [label="input", shape=plaintext];
            out0 [label="output", shape=plaintext];
            n1 [label="pay\ntry", shape=box3d];
            in0 -> n1;
            subgraph cluster_3 {
                label="try";
                in3 [label="input", shape=plaintext];
                out3 [label="output", shape=plaintext];
                n6 [label="charge", shape=box];
                in3 -> n6;
                n6 -> out3;
            }
            n1 -> in3 [label="try", style=dotted];
            subgraph cluster_4 {
                label="catch declined";
                in4 [label="input", shape=plaintext];
                out4 [label="output", shape=plaintext];
                n7 [label="ask", shape=box];
                in4 -> n7;
                n7 -> out4;
            }
            n1 -> in4 [label="catch declined", style=dotted];
            subgraph cluster_5 {
                label="catch *";
                in5 [label="input", shape=plaintext];
                out5 [label="output", shape=plaintext];
            }
            n1 -> in5 [label="catch *", style=dotted];
            n4 [label="stop\nfail \"odd\"", shape=octagon];
            in0 -> n4;
            n0 [label="most\nrace, first 2 win", shape=box3d];
            n1 -> n0;
            subgraph cluster_1 {
                label="one";
                in1 [label="input", shape=plaintext];
                out1 [label="output", shape=plaintext];
                in1 -> out1;
            }
            n0 -> in1 [label="one", style=dotted];
            subgraph cluster_2 {
                label="two";
                in2 [label="input", shape=plaintext];
                out2 [label="output", shape=plaintext];
                n5 [label="rest\nsleep 3s", shape=oval];
                in2 -> n5;
                n5 -> out2;
            }
            n0 -> in2 [label="two", style=dotted];
            n2 [label="quick\nrace, first wins", shape=box3d];
            n1 -> n2;
            subgraph cluster_6 {
                label="one";
                in6 [label="input", shape=plaintext];
                out6 [label="output", shape=plaintext];
                in6 -> out6;
            }
            n2 -> in6 [label="one", style=dotted];
            subgraph cluster_7 {
                label="two";
                in7 [label="input", shape=plaintext];
                out7 [label="output", shape=plaintext];
                n8 [label="rest\nsleep 3s", shape=oval];
                in7 -> n8;
                n8 -> out7;
            }
            n2 -> in7 [label="two", style=dotted];
            n3 [label="some\neach, 4 at a time, 10 % may fail", shape=box3d];
            n1 -> n3;
            subgraph cluster_8 {
                label="item";
                in8 [label="input", shape=plaintext];
                out8 [label="output", shape=plaintext];
                in8 -> out8;
            }
            n3 -> in8 [label="item", style=dotted];
            n1 -> out0;
        }
    "#]]
    .assert_eq(&plan.to_dot());
    let paths: Vec<String> =
        (0..).map(fastn_core::plan::NodeIx).zip(plan.nodes()).map(|(ix, _)| plan.path(ix)).collect();
    assert!(paths.contains(&"pay/charge".to_owned()) && paths.contains(&"pay.declined/ask".to_owned()), "{paths:?}");
    let charge = plan.find("pay/charge").expect("it is there");
    let at = |items: Vec<u32>| plan.path_at(&fastn_core::Address { node: charge, items });
    assert_eq!([at(vec![0]), at(vec![2])], ["pay/charge", "pay[2]/charge"]);
}
