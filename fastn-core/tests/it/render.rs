//! What people see of a plan.

use expect_test::expect;
use fastn_core::{Plan, Retry, StepPolicy};

use fastn_testkit::sketch::{draft, each, when};

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
