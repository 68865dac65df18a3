//! A value with its place.

use serde_json::{Map, Number};

use crate::fault::{FaultKind, Found};
use crate::limits::Limits;
use crate::place::Span;

/// A value of a document, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Tree>),
    /// In the order in which it was written; no key twice.
    Map(Vec<Entry>),
}

/// A key, where it stands, and what it says.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) span: Span,
    pub(crate) tree: Tree,
}

impl Tree {
    /// What it is, in words.
    pub(crate) const fn what(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// It as JSON without white space, its keys in the order in which they stand.
    pub(crate) fn to_text(&self) -> String {
        let joined = |parts: Vec<String>| parts.join(",");
        match &self.value {
            Value::List(items) => format!("[{}]", joined(items.iter().map(Self::to_text).collect())),
            Value::Map(entries) => {
                let entry =
                    |entry: &Entry| format!("{}:{}", serde_json::Value::from(entry.key.as_str()), entry.tree.to_text());
                format!("{{{}}}", joined(entries.iter().map(entry).collect()))
            }
            _ => self.to_json().to_string(),
        }
    }

    /// It with each text changed.
    pub(crate) fn with_texts(self, change: &impl Fn(String) -> String) -> Self {
        let value = match self.value {
            Value::Text(text) => Value::Text(change(text)),
            Value::List(items) => Value::List(items.into_iter().map(|item| item.with_texts(change)).collect()),
            Value::Map(entries) => Value::Map(
                entries.into_iter().map(|entry| Entry { tree: entry.tree.with_texts(change), ..entry }).collect(),
            ),
            other => other,
        };
        Self { value, span: self.span }
    }

    /// It without places. As deep as the tree, which is bounded.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number) => number.clone().into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.tree.to_json())).collect::<Map<_, _>>().into()
            }
        }
    }
}

/// Counts what is made, so that it ends before too much is.
pub(crate) struct Counter<'a> {
    limits: &'a Limits,
    values: usize,
}

impl<'a> Counter<'a> {
    pub(crate) const fn new(limits: &'a Limits) -> Self {
        Self { limits, values: 0 }
    }

    /// One value more at this depth, in a list or map of so many. `false` if that is too much.
    pub(crate) fn value(&mut self, depth: usize, entries: usize, span: Span, found: &mut Found) -> bool {
        self.values += 1;
        let Limits { values, depth: deepest, entries: most, .. } = *self.limits;
        let why = if depth > deepest {
            format!("lists and maps stand more than {deepest} deep in each other")
        } else if entries > most {
            format!("a list or map has more than {most} entries")
        } else if self.values > values {
            format!("there are more than {values} values")
        } else {
            return true;
        };
        found.add(FaultKind::Limit, span, why);
        false
    }
}
