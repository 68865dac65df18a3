//! An expression that a stranger wrote, and what it is given.

use fastn_document::fuzzing::evaluate;

pub(crate) const WORDS: &[&str] = &[
    ".[]",
    "..",
    "| ",
    ", ",
    "def f: ",
    "f(g): ",
    "; f",
    "reduce ",
    "foreach ",
    " as $x ",
    " as [$a, {b: $c}] ",
    "if ",
    " then ",
    " else ",
    " end",
    "try ",
    " catch ",
    "?",
    "//",
    "|= ",
    "+= ",
    "= ",
    "repeat(",
    "range(",
    "limit(",
    "first(",
    "last(",
    "path(",
    "recurse",
    "getpath(",
    "setpath(",
    "del(",
    "to_entries",
    "sort_by(",
    "group_by(",
    "test(\"",
    "gsub(\"",
    "tojson",
    "fromjson",
    "implode",
    "explode",
    "@base64",
    "\"\\(",
    ".[1:2]",
    ".[-1]",
    "1e1000",
    "infinite",
    "nan",
    "label $x | ",
    "break $x",
    "error",
    "$nodes.a",
    "$input",
    "1000000000",
    "* ",
    "% ",
    "- ",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\n",
];

/// The first line is the expression, the rest is its input.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (expression, input) = text.split_once('\n').unwrap_or((text, "null"));
    let input = serde_json::from_str(input).unwrap_or(serde_json::Value::Null);
    if let Some(Err(why)) = evaluate(expression, &input) {
        assert!(!why.contains("broke off"), "{why}");
        assert!(why.len() < 20_000, "{} bytes", why.len());
    }
}
