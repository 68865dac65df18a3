//! Plans as documents, and back.

use fastn_core::{Draft, Plan};
use fastn_document::{Document, Tasks, render};

use crate::ORDER;

fn plan(file: &str, text: &str) -> Plan {
    let document = Document::read(file, text).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
    Plan::clone(document.definition(&Tasks::any()).unwrap().plan())
}

#[test]
fn a_document_is_rendered_as_one_that_says_the_same() {
    for text in [
        ORDER,
        "fastn: \"1\"\nname: x\ngives: { z: [1.0, '$${ }', \"\\u0000\"], a: ~ }",
        "fastn: \"1\"\nname: x\nnodes: { 'if': { sleep: 1s }, 'a\"b\\(1)': { task: y, args: ['${ $nodes.if }', { k: 1 }, '${ . }'] } }",
        "fastn: \"1\"\nname: x\nnodes: { w: { wait: a }, v: { wait: b, args: ['${ $nodes.w }'], within: 1.5s } }",
        "fastn: \"1\"\nname: x\nnodes: { a: { task: y, durability: at_most_once, retry: { backoff: linear, wait: 2s, cap: 1m, jitter: none, elapsed: 5m, except: [a, b] }, undo: { task: z, retry: 3 } } }",
        "fastn: \"1\"\nname: x\nnodes: { a: { switch: [{ name: one }, { name: two }], by: which } }",
        "fastn: \"1\"\nname: x\nnodes: { a: { repeat: { by: again, at_most: 3 }, on_error: b, nodes: { c: { task: c, on_error: { gives: '${ $error }' } } } } }",
        "fastn: \"1\"\nname: x\nnodes: { a: { run: { workflow: y, bond: detach, version: 3 }, in: { b: '${ .c }' }, position: { x: -1, y: 2.5 } } }",
    ] {
        let before = plan("x.yaml", text);
        let rendered = render(&before).unwrap();
        assert_eq!(plan("rendered.json", &rendered).hash(), before.hash(), "{before}\n{rendered}");
        assert_eq!(render(&plan("x.json", &rendered)).unwrap(), rendered, "the same every time");
    }
}

#[test]
fn what_an_editor_gives_back_is_a_document_again() {
    let before = plan("order.yaml", ORDER);
    let drawn = before.to_editor_json().unwrap();
    let moved = drawn.replace("\"y\": 40.5", "\"y\": 77.0");
    let back = Draft::from_editor_json(&moved).unwrap().check().unwrap();
    let document = render(&back).unwrap();
    let after = plan("order.json", &document);
    assert_eq!(after.hash(), before.hash());
    assert!(document.contains("77"), "{document}");
}

#[test]
fn a_plan_is_wired_as_its_document_says() {
    expect_test::expect![[r#"
        order v3 requires eu
        ├─ pack (in)(input)
        ├─ poll({"done":false}) repeats, at most 100 times
        │  again -> ask
        │    ├─ pause(input) sleeps 10s
        │    └─ ask(pause) calls bank.state on_error
        ├─ price(input)
        ├─ check(price) when
        │  large -> review
        │    └─ review() waits for the first reviewed within 259200s
        │  else -> "yes"
        ├─ pack(pack (in)) each, 4 at a time
        │  item -> box
        │    └─ box(input) retry 4 undo
        ├─ ship (in)(input, pack, price)
        └─ ship(ship (in)) runs shipping v2 after check, poll
        -> ship"#]]
    .assert_eq(&plan("order.yaml", ORDER).to_string());
}
