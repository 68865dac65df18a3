//! Documents as JSON, with keys in the order in which people read them.

use serde_json::Value as Json;

use crate::place::Span;
use crate::syntax::{Entry, Tree, Value};

/// A value that stands nowhere yet.
pub(super) fn tree(value: Value) -> Tree {
    Tree { value, span: Span::default() }
}

pub(super) fn text(text: impl Into<String>) -> Tree {
    tree(Value::Text(text.into()))
}

pub(super) fn number(number: impl Into<serde_json::Number>) -> Tree {
    tree(Value::Number(number.into()))
}

/// A map of what is there, in this order.
pub(super) fn map(entries: impl IntoIterator<Item = (&'static str, Option<Tree>)>) -> Tree {
    let entry =
        |(key, tree): (&str, Option<Tree>)| Some(Entry { key: key.to_owned(), span: Span::default(), tree: tree? });
    tree(Value::Map(entries.into_iter().filter_map(entry).collect()))
}

/// JSON whose order does not matter.
pub(super) fn of_json(json: &Json) -> Tree {
    tree(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Number(number.clone()),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(of_json).collect()),
        Json::Object(map) => {
            let entry = |(key, value): (&String, &Json)| Entry {
                key: key.clone(),
                span: Span::default(),
                tree: of_json(value),
            };
            Value::Map(map.iter().map(entry).collect())
        }
    })
}

/// Writes it, what is short on one line.
pub(super) fn print(tree: &Tree) -> String {
    let mut out = String::new();
    write(tree, 0, &mut out);
    out.push('\n');
    out
}

fn write(tree: &Tree, indent: usize, out: &mut String) {
    const LINE: usize = 100;
    let flat = tree.to_text();
    let nested = |entries: &[Entry]| entries.iter().any(|entry| matches!(entry.tree.value, Value::Map(_)));
    let is_short = flat.len() + indent <= LINE && !matches!(&tree.value, Value::Map(entries) if nested(entries));
    let pad = " ".repeat(indent + 2);
    match &tree.value {
        Value::List(items) if !is_short && !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i == 0 { "\n" } else { ",\n" });
                out.push_str(&pad);
                write(item, indent + 2, out);
            }
            out.push_str(&format!("\n{}]", " ".repeat(indent)));
        }
        Value::Map(entries) if (!is_short || indent == 0) && !entries.is_empty() => {
            out.push('{');
            for (i, entry) in entries.iter().enumerate() {
                out.push_str(if i == 0 { "\n" } else { ",\n" });
                out.push_str(&format!("{pad}{}: ", Json::from(entry.key.as_str())));
                write(&entry.tree, indent + 2, out);
            }
            out.push_str(&format!("\n{}}}", " ".repeat(indent)));
        }
        _ => out.push_str(&flat),
    }
}
