//! What is wrong is said with its place, everything at once.

use expect_test::{Expect, expect};
use fastn_document::{Document, Tasks};

use crate::ORDER;

fn faults(text: &str) -> String {
    match Document::read("order", text) {
        Ok(_) => "none".to_owned(),
        Err(faults) => faults.to_string(),
    }
}

/// The lines of the document are joined by line ends.
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&faults(text));
}

#[test]
fn a_document_without_faults_has_none() {
    assert_eq!(faults(ORDER), "none");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    check(
        r#"fastn: "2"
nmae: order
nodes:
  fetch: { tsak: fetch }
  price: { transform: "${ $nodes.fetsh.total + lenght }", retries: 3 }
  price: { sleep: soon }
  ask: { approve: {} }
  empty: {}
  both: { task: a, sleep: 1s }
  wait: { wait: paid, in: 1, needs: [fetch, fecth] }
  loop: { repeat: { while: true, until: "${ . }" }, gives: 1 }
  pick: { switch: [{ gives: 1 }, { when: "${ . }", gives: 2 }] }
  note: { task: a, on_error: { gives: "${ $nodes.fetch }" } }
"#,
        expect![[r#"
            order:1:1: a document needs `name`
            order:1:8: `fastn` is the version of the language, and the only one is "1"
            order:2:1: there is no key of a document `nmae`; did you mean `name`?
            order:4:12: there is no key of a node `tsak`; did you mean `task`?
            order:5:48: there is no function `lenght` without arguments
            order:5:59: there is no key of a node `retries`
            order:6:3: the key `price` stands there twice
            order:7:10: `approve` is not yet supported
            order:8:3: the node `empty` says nothing of what it does: task, call, transform, switch, each, repeat, try, race, wait, sleep, run, fail
            order:9:20: a node is of one kind, and this is a `task` and a `sleep`
            order:10:23: `in` means nothing for a `wait`
            order:10:45: there is no node `fecth`; did you mean `fetch`?
            order:11:11: `repeat` says either `while`, `until` or `by`
            order:11:19: a repeat needs `at_most`
            order:12:20: an arm of a switch needs `when`; only the last has none
            order:12:36: the last arm of a switch has no `when`: it is taken when no other is
            order:13:50: `gives` cannot see the node `fetch`: it sees what the node was given, and `$error`"#]],
    );
}

#[test]
fn what_cannot_run_is_said_where_it_stands() {
    check(
        r#"fastn: "1"
name: order
nodes:
  a: { transform: "${ $nodes.b }" }
  b: { transform: "${ $nodes.c }" }
  c: { transform: "${ $nodes.a }" }
  pick:
    switch:
      - name: one
        when: ${ . }
        nodes: { deep: { wait: "" } }
      - name: one
        gives: ${ $nodes.a }
gives: ${ $nodes.c }
"#,
        expect![
            "order:13:26: the node `a` stands outside of this scope; what is needed inside is passed on by `in`, and is `.` there"
        ],
    );
    check(
        r#"fastn: "1"
name: order
nodes:
  a: { transform: 1 }
  b: { transform: 2 }
"#,
        expect!["order:1:1: it is not clear what this gives: several nodes are taken by no other; say it with `gives`"],
    );
    check(
        r#"fastn: "1"
name: order
nodes:
  a: { task: a }
  pick:
    in: ${ $nodes.b }
    switch: [{ gives: "${ $nodes.a }" }]
  b: { sleep: 1s, in: "${ $nodes.pick }" }
gives: ${ $nodes.pick }
"#,
        expect![
            "order:7:34: the node `a` stands outside of this scope; what is needed inside is passed on by `in`, and is `.` there"
        ],
    );
    // What only the plan knows.
    check(
        r#"fastn: "1"
name: " "
requires: [""]
nodes:
  a: { transform: "${ $nodes.b }" }
  b: { transform: "${ $nodes.c }" }
  c: { transform: "${ $nodes.a }" }
  later: { sleep: 1s, in: "${ $nodes.c }" }
  " ": { sleep: 1s }
  pick:
    switch:
      - name: one
        when: ${ . }
        nodes: { deep: { wait: "" } }
      - name: one
        nodes: { child: { run: "" }, quick: { call: a.b, durability: strict, needs: [child] } }
  one: { wait: go }
  other: { wait: { signal: go, take: first } }
gives: 1
"#,
        expect![[r#"
            order:2:7: the workflow's name " " is not valid: a name must not be empty
            order:3:12: the tag "" is not valid: a name must not be empty
            order:5:3: a cycle: a -> c -> b -> a
            order:8:3: `later` can never start: it waits for `c`
            order:9:3: a node's name " " in the workflow is not valid: a name must not be empty
            order:10:3: `pick` has several arms "one"
            order:14:18: the signal "" that `pick.one/deep` waits for is not valid: a name must not be empty
            order:16:18: the workflow "" that `pick.one/child` runs is not valid: a name must not be empty
            order:18:3: `other` and another node disagree on which values of "go" they take"#]],
    );
}

#[test]
fn a_function_that_is_not_there_is_said_with_the_one_that_was_meant() {
    let document = Document::read("order.yaml", ORDER).unwrap();
    let step = |value| async move { Ok(value) };
    let faults = document.workflow(&Tasks::new().task("bos", step).task("unbox", step)).unwrap_err();
    assert_eq!(faults.to_string(), "order.yaml:29:15: there is no task `box`; did you mean `bos`?");
    assert!(document.workflow(&Tasks::new().task("box", step).task("unbox", step)).is_ok());
}

#[test]
fn a_place_inside_of_an_expression_is_that_of_its_word() {
    for (text, place) in [
        ("gives: ${ .a | lenght }", "3:16"),
        ("gives: \"${ .a | lenght }\"", "3:17"),
        ("gives: >-\n  ${ .a |\n  lenght }", "4:3"),
        ("gives: [1, { x: '${ lenght }' }]", "3:21"),
        ("gives: \"${ \\\"\\\" | lenght }\"", "3:8"),
        ("gives: {ü: \"${ lenght }\"}", "3:16"),
    ] {
        let told = faults(&format!("fastn: \"1\"\nname: x\n{text}\n"));
        assert_eq!(told, format!("order:{place}: there is no function `lenght` without arguments"), "{text}");
    }
}

/// What a fault does to a line, and whether it is one there.
type Fault = (&'static str, fn(&str) -> Option<String>);

const INJECTED: [Fault; 4] = [
    ("a key that is misspelt", |line| {
        let (key, value) = line.split_once(": ")?;
        // Inside of values keys are anybody's.
        let value =
            if ["cents", "for", "price", "box", "ask", "input"].contains(&key.trim()) { return None } else { value };
        Some(format!("{key}xq: {value}"))
    }),
    ("a character that begins no value", |line| line.split_once(": ").map(|(key, value)| format!("{key}: @{value}"))),
    ("a name that is nowhere", |line| line.contains("$nodes.").then(|| line.replace("$nodes.", "$nodes.no_"))),
    ("a value of another type", |line| {
        let (key, _) = line.split_once(": ")?;
        let typed =
            ["name", "version", "deadline", "requires", "repeat", "switch", "sleep", "call", "run", "needs", "retry"];
        typed.contains(&key.trim()).then(|| format!("{key}: {{ z: [[]] }}"))
    }),
];

#[test]
fn a_fault_in_any_line_is_found_and_said_to_be_there() {
    let lines: Vec<&str> = ORDER.lines().collect();
    let mut injected = 0;
    for (number, line) in lines.iter().enumerate() {
        for (what, inject) in INJECTED {
            let Some(line) = inject(line) else { continue };
            let mut changed: Vec<&str> = lines.clone();
            changed[number] = &line;
            let faults = match Document::read("order.yaml", &changed.join("\n")) {
                Ok(_) => panic!("{what} in line {} was not found: {line}", number + 1),
                Err(faults) => faults,
            };
            let near = faults.faults.iter().any(|fault| (number + 1..=number + 2).contains(&fault.place.line));
            assert!(near, "{what} in line {}: {line}\n{faults}", number + 1);
            injected += 1;
        }
    }
    assert!(injected > 70, "{injected}");
}
