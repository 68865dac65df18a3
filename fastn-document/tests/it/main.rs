//! Documents as their authors and strangers write them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail")]

mod faults;
mod hostile;
mod render;
mod schema;
mod serverless;
mod syntax;

/// A document that says something of nearly everything.
const ORDER: &str = r#"fastn: "1"
name: order
version: 3
deadline: 2h
requires: [eu]
input: { type: object }
nodes:
  price:
    transform:
      cents: ${ [.lines[] | .price * .count] | add }
      for: ${ .customer }
    note: what it costs
  check:
    switch:
      - name: large
        when: ${ .cents > 10000 }
        nodes:
          review:
            wait: { signal: reviewed, take: first }
            within: 3d
        gives: ${ $nodes.review }
      - gives: yes
    in: ${ $nodes.price }
  pack:
    each: ${ .lines }
    at_most: 4
    nodes:
      box:
        task: box
        in: { line: "${ . }", fragile: "${ .kind == \"glass\" }" }
        retry: { attempts: 5, backoff: fixed, wait: 1s }
        undo: unbox
  poll:
    repeat: { until: "${ .done }", at_most: 100 }
    in: { done: false }
    nodes:
      pause:
        sleep: 10s
      ask:
        call: bank.state
        in: ${ $nodes.pause }
        on_error: { gives: { done: true, why: "${ $error.kind }" } }
  ship:
    run: { workflow: shipping, version: 2 }
    in: [ "${ $nodes.pack }", "${ $nodes.price.for }" ]
    needs: [check, poll]
    position: { x: 100, y: 40.5 }
gives: ${ $nodes.ship }
"#;
