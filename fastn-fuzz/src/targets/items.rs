//! The list an `each` works through.

use std::sync::Arc;

use fastn_core::{Payload, Plan, Timestamp};
use fastn_runtime::machine::{Action, Machine};
use fastn_testkit::sketch::{draft, each};
use serde_json::Value;

use crate::driver::settle;

pub(crate) const WORDS: &[&str] =
    &["[", "]", "{", "}", ",", ":", "\"", "\\\"", "\\\\", "\\u0000", " \n\t\r", "null", "\u{feff}", "1e5", "\u{c}"];

fn plan() -> Plan {
    let mut draft = draft("-> all");
    draft.root.nodes.push(each("all", "input", 1_000_000, "one(input)\n-> one"));
    draft.check().expect("a faultless draft")
}

pub(crate) fn run(bytes: &[u8]) {
    // Each byte makes at most one item, and each item a task: enough of them to see what there is to see.
    let bytes = bytes.get(..4_096).unwrap_or(bytes);
    let (plan, input) = (Arc::new(plan()), Payload::json(bytes.to_vec()));
    let (machine, turn) = Machine::start(plan, input, Timestamp::EPOCH).expect("a plan can be started");
    let args = |action: &Action| match action {
        Action::Run(task) => task.args.first().cloned(),
        _ => None,
    };
    let items: Vec<Payload> = turn.actions.iter().filter_map(args).collect();
    if let Ok(values) = serde_json::from_slice::<Vec<Value>>(bytes) {
        let cut: Vec<Value> = items.iter().map(|item| item.decode().expect("an item is JSON")).collect();
        assert_eq!(cut, values, "the items are those a parser finds");
    }
    // Every step gives its argument back, so the output is the list again.
    let output = settle(machine, turn);
    if let (Some(output), Ok(values)) = (output, serde_json::from_slice::<Vec<Value>>(bytes)) {
        assert_eq!(output.decode::<Vec<Value>>().expect("a list"), values);
    }
}
