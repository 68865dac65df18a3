//! The value that flows, and expressions over it.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::model::{At, Kind, Node, Policy};
use crate::place::Span;
use crate::read::Reader;
use crate::syntax::{Tree, Value};
use crate::template::{Part, Template};

/// Where a task stands: what comes to it, and the variables of the loops around it.
#[derive(Clone, Debug, Default)]
pub(super) struct Here {
    /// The node whose value comes; the input of the scope if there is none.
    pub(super) from: Option<String>,
    pub(super) vars: Vec<String>,
    /// In how many scopes it stands.
    pub(super) depth: usize,
}

/// How an expression names a node, or the input of its scope.
pub(super) fn of(node: Option<&str>) -> String {
    node.map_or_else(|| ".".to_owned(), |node| format!("$nodes[{}]", Json::from(node)))
}

/// A part of the value of a node, or of the input of its scope.
pub(super) fn part(node: Option<&str>, path: &str) -> String {
    node.map_or_else(|| format!(".{path}"), |_| format!("{}.{path}", of(node)))
}

impl Here {
    /// The same behind a node.
    pub(super) fn behind(&self, node: impl Into<String>) -> Self {
        Self { from: Some(node.into()), ..self.clone() }
    }

    /// The same at the beginning of a scope.
    pub(super) fn inside(&self) -> Self {
        Self { from: None, vars: self.vars.clone(), depth: self.depth + 1 }
    }

    /// What stands before an expression: names for all that it may look at, and the data as its input.
    pub(super) fn before(&self) -> String {
        let vars: String =
            self.vars.iter().map(|var| format!("$__e.e.vars[{}] as ${var} | ", Json::from(var.as_str()))).collect();
        format!(
            "{} as $__e | $__e.e.context as $context | $__e.e.workflow as $workflow | {vars}$__e.d as $input | $input | ",
            of(self.from.as_deref())
        )
    }

    /// The same over what a task has given.
    pub(super) fn before_output(&self, node: &str) -> String {
        format!("{}{}.d as $output | $output | ", self.before(), of(Some(node)))
    }
}

impl Reader<'_> {
    /// A value with expressions, with this before each.
    pub(super) fn with<T>(&mut self, before: String, read: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.before, before);
        let done = read(self);
        self.before = outer;
        done
    }

    /// A text that is an expression, whether or not it is said so; anything else is a value.
    pub(super) fn loose(&mut self, tree: &Tree) -> Option<Template> {
        match &tree.value {
            Value::Text(text) if !text.trim_start().starts_with("${") => {
                let value = Value::Text(format!("${{{text}}}"));
                self.template(&Tree { value, span: tree.span })
            }
            _ => self.template(tree),
        }
    }

    /// An expression of ours, which stands nowhere.
    pub(super) fn ours(&mut self, text: &str, span: Span) -> Option<Template> {
        let tree = Tree { value: Value::Text(format!("${{{text}}}")), span };
        self.with(String::new(), |reader| reader.template(&tree))
    }

    /// The value that flows on: data, with the rest as it is at this node, or with another context.
    pub(super) fn envelope(&mut self, here: &Here, data: Template, context: Option<Template>) -> Option<Template> {
        let span = data.span;
        let rest = self.ours(&part(here.from.as_deref(), "e"), span)?;
        let rest = match context {
            None => rest,
            Some(context) => {
                let vars = self.ours(&part(here.from.as_deref(), "e.vars"), span)?;
                let workflow = self.ours(&part(here.from.as_deref(), "e.workflow"), span)?;
                joined(span, vec![("context", context), ("vars", vars), ("workflow", workflow)])
            }
        };
        Some(joined(span, vec![("d", data), ("e", rest)]))
    }
}

/// Several templates as one object.
pub(super) fn joined(span: Span, parts: Vec<(&str, Template)>) -> Template {
    let mut nodes: BTreeMap<String, Span> = BTreeMap::new();
    let mut source = serde_json::Map::new();
    let mut entries = Vec::new();
    let mut error = false;
    for (key, template) in parts {
        nodes.extend(template.nodes);
        source.insert(key.to_owned(), template.source);
        error |= template.error;
        entries.push((key.to_owned(), template.part));
    }
    let part = Part::map(entries);
    let text = if let Part::Constant(value) = &part { Some(value.to_string()) } else { None };
    Template { span, part, nodes, source: Json::Object(source), text, error }
}

/// Always this value.
pub(super) fn constant(span: Span, value: Json) -> Template {
    let text = Some(value.to_string());
    Template {
        span,
        part: Part::Constant(value.clone()),
        nodes: BTreeMap::new(),
        source: json!(value),
        text,
        error: false,
    }
}

/// A node of this kind that is given this.
pub(super) fn node(name: impl Into<String>, span: Span, kind: Kind, input: Option<Template>) -> Node {
    let name = At { span, it: name.into() };
    Node { name, kind, input, needs: Vec::new(), policy: Policy::default(), position: None }
}
