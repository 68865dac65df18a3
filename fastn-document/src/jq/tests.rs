//! What expressions give, and what hostile ones cost.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::{Evaluation, compile};
use crate::limits::Fuel;

fn evaluate(text: &str, input: Json) -> Result<Json, Evaluation> {
    let compiled = compile(text).expect("an expression");
    let nodes = json!({"fetch": {"total": 7}, "two words": [1]});
    compiled.expression.evaluate(&input, &nodes, &json!({"kind": "timeout"}), &mut Fuel::default())
}

#[test]
fn expressions_give_what_jq_gives() {
    let cases: &[(&str, Json, Json)] = &[
        (".a.b + 1", json!({"a": {"b": 2}}), json!(3)),
        ("$nodes.fetch.total * 2", json!(null), json!(14)),
        ("$nodes[\"two words\"][0]", json!(null), json!(1)),
        ("$input == .", json!([1]), json!(true)),
        ("$error.kind", json!(null), json!("timeout")),
        ("map(select(. > 1)) | add", json!([1, 2, 3]), json!(5)),
        ("[.[] | \"\\(.)!\"]", json!([1, "a", null]), json!(["1!", "a!", "null!"])),
        (
            "group_by(.k) | map({k: .[0].k, n: length})",
            json!([{"k": 2}, {"k": 1}, {"k": 2}]),
            json!([{"k": 1, "n": 1}, {"k": 2, "n": 2}]),
        ),
        ("test(\"^a+$\")", json!("aaa"), json!(true)),
        ("gsub(\"(?<x>[a-z])\"; \"<\\(.x)>\")", json!("a1b"), json!("<a>1<b>")),
        (".a[2] = 5", json!({}), json!({"a": [null, null, 5]})),
        ("del(.[1])", json!([1, 2, 3]), json!([1, 3])),
        ("18446744073709551615 - 1", json!(null), json!(18446744073709551614_u64)),
        ("try error(\"no\") catch .", json!(null), json!("no")),
        ("first(range(10; 0; -3))", json!(null), json!(10)),
        ("[limit(3; repeat(1))]", json!(null), json!([1, 1, 1])),
        ("\"1970-01-01T00:00:10Z\" | fromdate", json!(null), json!(10)),
        ("@base64 \"\\(.)\" | @base64d", json!("x"), json!("x")),
        ("splits(\", *\") // empty", json!("a"), json!("a")),
    ];
    for (text, input, expected) in cases {
        assert_eq!(evaluate(text, input.clone()), Ok(expected.clone()), "{text}");
    }
}

#[test]
fn an_expression_gives_exactly_one_value() {
    assert!(matches!(evaluate("empty", json!(null)), Err(Evaluation::Failed(why)) if why.contains("no value")));
    assert!(matches!(evaluate("1, 2", json!(null)), Err(Evaluation::Failed(why)) if why.contains("more than one")));
    assert_eq!(evaluate("error({code: 5})", json!(null)), Err(Evaluation::Failed("{\"code\":5}".to_owned())));
    assert_eq!(evaluate("error(\"in words\")", json!(null)), Err(Evaluation::Failed("in words".to_owned())));
}

/// Each would go on for ever, or fill the memory, or the stack, or compare for ever what takes little room.
const HOSTILE: &[&str] = &[
    "def f: f; f",
    "def f: 1 + f; f",
    "def f: [f]; f",
    "def f: f | f; f",
    "def f: f, f; [f]",
    "repeat(.)",
    "[repeat(1)]",
    "[range(1e18)]",
    "last(range(1e18))",
    "reduce range(1e18) as $x (0; . + $x)",
    "[recurse(. + 1)]",
    "until(false; .)",
    "while(true; .) | empty",
    "try repeat(error) catch repeat(.)",
    "[limit(1e18; repeat(try error catch .))]",
    "first(repeat(empty))",
    "[skip(1e18; repeat(1))]",
    "isempty(repeat(empty))",
    "reduce range(100) as $i (\"a\"; . + .)",
    "\"a\" * 1e15",
    "reduce range(100) as $i ([0]; . + .)",
    "reduce range(100) as $i ([0]; [., .])",
    "reduce range(100) as $i ([0]; [., .]) | tojson",
    "reduce range(100) as $i ([0]; [., .]) | . == .",
    "reduce range(100000) as $i (0; [.])",
    "reduce range(100000) as $i (0; {a: .})",
    "reduce range(100000) as $i (null; setpath([range($i)]; 1))",
    ".[1e9] = 1",
    "[range(100000)] | combinations(100000)",
    "[range(1000)] as $a | [$a[] as $x | $a[] as $y | $a[] as $z | 1]",
    "[range(300000)] | sort | repeat(sort)",
    "(\"a\" * 100000) as $s | $s | repeat(test(\"(a*)*b\"))",
    "\"a\" | test(\"((a{1000}){1000}){1000}\")",
    "(\"a\" * 10000000) | [match(\"a\"; \"g\")]",
    "(\"ab\" * 1000000) | [.[0:range(1000000)]] | length",
    "[range(1000)] | map(tojson) | repeat(add)",
    "1 as $x | [repeat($x)] | length",
    ".. |= [., .] | repeat(.. |= [., .])",
    "[limit(100000; repeat(\"x\" * 1000))] | length",
    "label $f | repeat(., break $f) | repeat(.)",
    "[paths] | repeat(.)",
    "ltrimstr(\"a\") | repeat(explode? // .)",
    "[splits(\"a\")?] | repeat(.)",
    "def f: {a: f}; f",
    "def f: -f; f",
    "def f: try f catch f; f",
    "def f: if f then f else f end; f",
    "def f: reduce f as $x (f; f); f",
    "def f: .[f]; f",
    "def f: \"\\(f)\"; f",
    "def f: f as [$a] | $a; f",
    "def f: f // f; f",
    "path(repeat(.))",
    "def f: .a | f; path(f)",
    "def f: .a | f; f |= 1",
    "def f: f; f |= 1",
    "def f: f; f |= repeat(1)",
    "getpath([range(1000000)])",
    "null | .[1e9] = 1",
    "null | .[1e18] = 1",
    "def h(g): g; def f($n): h(f($n + 1)); f(0)",
    "def f: def g: f; g; f",
    "def f($l): f([$l]); f(1)",
    "def f: . as $x | f; f",
    "null | [limit(300000; repeat(null))] | getpath(.) | repeat(.)",
    "[path(limit(300000; repeat(.a?)))] | last",
    "null | path(def f: .a | f; f)",
    "def f: .[0] | f; null | f",
    "[null | limit(200000; def f: ., (.a | f); f)]",
];

#[test]
fn a_hostile_expression_ends_soon_whatever_it_is() {
    for text in HOSTILE {
        let began = Instant::now();
        let input = json!("aaaa");
        let result = evaluate(text, input);
        let took = began.elapsed();
        assert!(!matches!(&result, Err(Evaluation::Failed(why)) if why.contains("broke off")), "{text}: {result:?}");
        let ended = matches!(result, Err(Evaluation::TooMuch(_))) || matches!(result, Err(Evaluation::Failed(_)));
        assert!(ended, "{text}: {:?}", result.map(|value| value.to_string().len()));
        assert!(took < Duration::from_secs(20), "{text} took {took:?}");
    }
}

#[test]
fn what_asks_the_machine_is_no_function() {
    for text in
        ["now", "env.PATH", "$ENV", "input", "halt", "halt_error", "localtime", "debug", "stderr", "include \"x\"; 1"]
    {
        assert!(compile(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_wrong_with_an_expression_is_said_with_its_place() {
    let wrong = |text: &str| {
        let wrong = compile(text).expect_err("a fault").remove(0);
        format!("{}..{} {}", wrong.at.start, wrong.at.end, wrong.message)
    };
    assert_eq!(wrong(".a + lenght"), "5..11 there is no function `lenght` without arguments");
    assert_eq!(wrong(".a + $x"), "5..7 there is no variable `$x`");
    assert_eq!(wrong("(.a"), "3..3 `(` is not closed");
    assert_eq!(wrong(".a +"), "4..4 here should be term");
    assert_eq!(wrong("$nodes | keys"), "0..6 a node must be named right here: `$nodes.NAME`");
    assert_eq!(wrong("$nodes[.x]"), "0..6 a node must be named right here: `$nodes.NAME`");
    assert_eq!(wrong("def f(g): f(g | g); f(.)"), "10..11 a function that is given functions may not call itself");
    assert_eq!(
        wrong("def f(g; $x): def h: f(g; 1); h; f(.; 1)"),
        "21..22 a function that is given functions may not call itself"
    );
    assert_eq!(wrong("1 as $nodes | 2"), "5..11 this name means something already");
}

#[test]
fn what_an_expression_takes_from_nodes_is_known_before_it_runs() {
    let compiled = compile("[.[] | select(.id == $nodes.fetch.id)] + $nodes[\"two words\"] | $nodes.fetch")
        .expect("an expression");
    let names: Vec<&str> = compiled.nodes.keys().map(String::as_str).collect();
    assert_eq!(names, ["fetch", "two words"]);
    assert_eq!(compiled.nodes.get("fetch"), Some(&(28..33)));
}
