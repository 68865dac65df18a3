//! What a document costs is bounded before it is paid.

use std::time::{Duration, Instant};

use fastn_document::{Document, FaultKind, Limits};

fn document(rest: &str) -> String {
    format!("fastn: \"1\"\nname: x\n{rest}")
}

#[test]
fn what_is_too_large_is_refused_by_name_and_soon() {
    let node = |i: usize| format!("  n{i}: {{ transform: 1 }}\n");
    let many_nodes: String = (0..3_000).map(node).collect();
    let scopes: String = (0..30).map(|i| format!("{}nodes: {{ a: {{ each: [], ", " ".repeat(i))).collect();
    let cases: [(&str, String); 15] = [
        ("large", " ".repeat(2 << 20)),
        ("deep lists", document(&format!("gives: {}", "[".repeat(500_000)))),
        ("deep lists that end", document(&format!("gives: {}1{}", "[".repeat(100), "]".repeat(100)))),
        ("deep json", format!("{{\"a\": {}", "[".repeat(900_000))),
        ("deep maps", document(&format!("gives: {}", "{a: ".repeat(200_000)))),
        ("dashes", document(&format!("gives:\n  {}", "- ".repeat(400_000)))),
        ("many items", document(&format!("gives: [{}]", "1,".repeat(400_000)))),
        ("many values", document(&format!("gives: [{}]", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1],".repeat(15_000)))),
        ("many nodes", document(&format!("nodes:\n{many_nodes}gives: 1"))),
        (
            "many nodes in a long name",
            document(&format!("nodes:\n {}:\n  each: []\n  nodes:\n{many_nodes}", "x".repeat(500_000))),
        ),
        ("deep scopes", document(&scopes)),
        ("a long expression", document(&format!("gives: ${{ {} }}", ".|".repeat(200_000)))),
        ("an expression as deep as it may be", document(&format!("gives: ${{ {} }}", "(".repeat(4_000)))),
        ("many expressions", document(&format!("gives: [{}]", "'${.}',".repeat(19_000)))),
        ("many anchors", document(&format!("gives: {}", "&a ".repeat(300_000)))),
    ];
    for (what, text) in cases {
        let began = Instant::now();
        let faults = Document::read("x", &text).expect_err(what);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(10), "{what} took {took:?}");
        assert!(faults.faults.len() <= 101, "{what}: {}", faults.faults.len());
        let told = faults.to_string();
        assert!(told.len() < 200_000, "{what}: {} bytes of faults", told.len());
    }
}

#[test]
fn a_chain_of_choices_is_no_deeper_than_a_plan_may_be() {
    let serverless = |choices: usize, then: &str| {
        let choice = |i: usize| format!("  - c{i}: {{ switch: [{{ a: {{ when: .a, then: {then} }} }}] }}\n");
        let head = "document: { dsl: '1.0.0', namespace: x, name: x, version: '1.0.0' }\ndo:\n";
        head.to_owned() + &(0..choices).map(choice).collect::<String>()
    };
    assert!(Document::read("x.yaml", &serverless(5, "continue")).is_ok());
    assert!(Document::read("x.yaml", &serverless(25, "exit")).is_ok());
    // Two arms each, and each arm with all that follows; or one of them.
    for (choices, then) in [(12, "continue"), (40, "continue"), (1_500, "continue"), (40, "exit"), (1_500, "exit")] {
        let began = Instant::now();
        let faults = Document::read("x.yaml", &serverless(choices, then)).unwrap_err();
        assert!(faults.faults.iter().all(|fault| fault.kind == FaultKind::Limit), "{choices} {then}: {faults}");
        assert!(began.elapsed() < Duration::from_secs(60), "{choices}: {:?}", began.elapsed());
    }
}

#[test]
fn each_limit_holds_to_the_last_one_that_fits() {
    let limits = {
        let mut limits = Limits::default();
        (limits.nodes, limits.entries, limits.depth, limits.values, limits.expression) = (2, 5, 6, 40, 8);
        limits
    };
    let kind = |text: &str| {
        let read = Document::read_within("x", &document(text), limits);
        read.map_or_else(|faults| Some(faults.faults[0].kind), |_| None)
    };
    let nodes = |n: usize| {
        format!("nodes: {{{}}}\ngives: 1", (0..n).map(|i| format!("n{i}: {{sleep: 1s}},")).collect::<String>())
    };
    assert_eq!([kind(&nodes(2)), kind(&nodes(3))], [None, Some(FaultKind::Limit)]);
    let items = |n: usize| format!("gives: [{}]", "1,".repeat(n));
    assert_eq!([kind(&items(5)), kind(&items(6))], [None, Some(FaultKind::Limit)]);
    let deep = |n: usize| format!("gives: {}1{}", "[".repeat(n), "]".repeat(n));
    assert_eq!([kind(&deep(5)), kind(&deep(6))], [None, Some(FaultKind::Limit)]);
    let expression = |n: usize| format!("gives: ${{{}}}", "1".repeat(n));
    assert_eq!([kind(&expression(8)), kind(&expression(9))], [None, Some(FaultKind::Limit)]);
    let values = |n: usize| format!("gives: [{}]", "[1, 1, 1, 1, 1],".repeat(n));
    assert_eq!([kind(&values(5)), kind(&values(6))], [None, Some(FaultKind::Limit)]);
}

#[test]
fn a_document_full_of_expressions_is_read_soon() {
    let node = |i: usize| format!("  n{i}: {{ transform: '${{ .a + {i} | tostring }}' }}\n");
    let text = document(&format!("nodes:\n{}gives: 1", (0..2_000).map(node).collect::<String>()));
    let began = Instant::now();
    Document::read("x", &text).unwrap();
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}
