//! A workflow that a stranger wrote.

use fastn_document::{Document, Limits, Tasks, render};

pub(crate) const WORDS: &[&str] = &[
    "fastn: \"1\"\nname: x\n",
    "{\"fastn\":\"1\",\"name\":\"x\",",
    "nodes:",
    "gives:",
    "transform:",
    "switch:",
    "each:",
    "repeat:",
    "while:",
    "at_most: 1",
    "when:",
    "wait:",
    "sleep: 1s",
    "run:",
    "call: a.b",
    "task:",
    "args:",
    "needs:",
    "undo:",
    "on_error:",
    "retry:",
    "${ . }",
    "${ $nodes.a }",
    "$nodes[\"a\"]",
    "$${",
    "PT1S",
    "\n  ",
    "\n- ",
    "&a",
    "*a",
    "!!str",
    "---",
    "\\ud83d\\ude00",
    "1e999",
];

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for file in ["x.yaml", "x.json"] {
        let mut limits = Limits::default();
        (limits.nodes, limits.bytes) = (200, 64 << 10);
        match Document::read_within(file, text, limits) {
            Ok(document) => read(&document),
            Err(faults) => {
                assert!(!faults.faults.is_empty() && faults.faults.len() <= 101, "{}", faults.faults.len());
                for fault in &faults.faults {
                    assert!(fault.span.start <= fault.span.end && fault.span.end <= text.len(), "{fault:?}");
                    assert!(fault.message.len() < 100_000, "{} bytes", fault.message.len());
                }
            }
        }
    }
}

/// What was read is written and read as itself.
fn read(document: &Document) {
    let definition = document.definition(&Tasks::any()).expect("it was read with all tasks");
    let plan = definition.plan();
    // Not every plan can be said in other words: a constant may be too deep, a name too long for an expression.
    let Ok(rendered) = render(plan) else { return };
    let back = Document::read("x.json", &rendered).unwrap_or_else(|faults| panic!("{faults}\n{rendered}"));
    let back = back.definition(&Tasks::any()).expect("it was read with all tasks");
    assert_eq!(back.plan().hash(), plan.hash(), "{rendered}");
    assert_eq!(render(back.plan()).expect("it was rendered before"), rendered, "rendered the same every time");
}
