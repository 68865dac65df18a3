//! A plan as JSON that a person may have redrawn.

use std::collections::BTreeSet;
use std::sync::Arc;

use fastn_core::plan::{Limits, NodeIx, NodeKind, ScopeIx};
use fastn_core::{Draft, Payload, Plan, Timestamp};
use fastn_runtime::machine::Machine;

use crate::driver::settle;

pub(crate) const WORDS: &[&str] = &[
    "\"parentId\":",
    "\"arm\":\"yes\",",
    "\"id\":\"a\",",
    "@input",
    "@output",
    "/",
    ".",
    "\\\\",
    "[0]",
    "\"type\":\"each\"",
    "\"type\":\"when\"",
    "\"type\":\"repeat\"",
    "\"type\":\"wait\"",
    "\"type\":\"run\"",
    "\"most\":2",
    "\"signal\":{\"name\":\"go\",\"take\":\"first\"}",
    "\"child\":{\"workflow\":\"other\",\"version\":null,\"bond\":\"own\"}",
    "\"concurrency\":1",
    "\"port\":0",
    "\"constants\":{\"0\":[1]}",
    "\"sleep\":{\"secs\":1,\"nanos\":0}",
    "\"policy\":",
    "\"attempts\":0",
    "\"secs\":18446744073709",
    "\"nanos\":551615000",
    "null",
    "\"after\"",
];

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(draft) = Draft::from_editor_json(text) else { return };
    let plan = match draft.check_within(Limits::default().nodes(10_000)) {
        Ok(plan) => plan,
        Err(faults) => {
            let shown = faults.to_string();
            assert!(shown.len() < 10_000 + 500 * text.len(), "{} bytes about {}", shown.len(), text.len());
            return;
        }
    };
    drawn_and_read_back(&plan);
    pictures(&plan);
    paths(&plan);
    if bytes.len() < 8_192 {
        let (machine, turn) = Machine::start(Arc::new(plan), Payload::json("[1,[],[2,[3]]]"), Timestamp::EPOCH)
            .expect("a plan can be started");
        settle(machine, turn);
    }
}

fn drawn_and_read_back(plan: &Plan) {
    let drawn = plan.to_editor_json().expect("what came as JSON is JSON");
    let read = Draft::from_editor_json(&drawn).expect("it was drawn");
    let read = read.check().unwrap_or_else(|faults| panic!("a drawn plan has faults: {faults}\n{drawn}"));
    assert_eq!((read.hash(), read.shape()), (plan.hash(), plan.shape()), "{plan}\n\n{read}\n\n{drawn}");
    assert_eq!(read.to_editor_json().expect("it was drawn before"), drawn, "drawn the same every time");
}

/// A line per thing that is shown, so that no text of a stranger's can pass for one.
fn pictures(plan: &Plan) {
    let arms = plan.nodes().iter().map(|node| if let NodeKind::When(arms) = &node.kind { arms.len() } else { 0 });
    let has_body = |kind: &NodeKind| matches!(kind, NodeKind::Each { .. } | NodeKind::Repeat { .. });
    let bodies = plan.nodes().iter().filter(|node| has_body(&node.kind)).count();
    assert_eq!(plan.to_string().lines().count(), 2 + plan.nodes().len() + arms.sum::<usize>() + bodies, "{plan}");
    for picture in [plan.to_string(), plan.to_dot(), plan.to_mermaid()] {
        assert!(!picture.chars().any(|c| c.is_control() && c != '\n'), "{picture}");
    }
    let quotes = plan.to_mermaid().lines().filter(|line| line.matches('"').count() % 2 == 1).count();
    assert_eq!(quotes, 0, "{}", plan.to_mermaid());
}

fn paths(plan: &Plan) {
    let nodes = (0..plan.nodes().len()).filter_map(|i| u32::try_from(i).ok()).map(NodeIx);
    let paths: BTreeSet<String> = nodes.map(|ix| plan.path(ix)).collect();
    assert_eq!(paths.len(), plan.nodes().len(), "no two nodes have the same path");
    for path in paths.iter().take(8) {
        assert_eq!(plan.find(path).map(|ix| plan.path(ix)).as_ref(), Some(path));
    }
    let scopes = (0..plan.scopes().len()).filter_map(|i| u32::try_from(i).ok()).map(ScopeIx);
    assert_eq!(scopes.map(|ix| plan.in_order(ix).len()).sum::<usize>(), plan.nodes().len());
}
