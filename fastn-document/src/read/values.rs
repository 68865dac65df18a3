//! Values with expressions in them.

use std::collections::BTreeMap;

use super::reader::Reader;
use crate::fault::FaultKind;
use crate::place::Span;
use crate::syntax::{Tree, Value};
use crate::template::{Part, Template, Text, text_of};

/// What is gathered from the expressions of one value.
#[derive(Default)]
struct Gathered {
    nodes: BTreeMap<String, Span>,
    error: bool,
}

/// A text as it is meant.
fn unquoted(text: String) -> String {
    match text_of(&text) {
        Text::Plain(plain) => plain.to_owned(),
        Text::Expression(_) => text,
    }
}

impl Reader<'_> {
    /// A value that may have expressions in it. As deep as the document, which is bounded.
    pub(crate) fn template(&mut self, tree: &Tree) -> Option<Template> {
        let mut gathered = Gathered::default();
        let part = self.part(tree, &mut gathered)?;
        let Gathered { nodes, error } = gathered;
        let source = self.source(tree);
        let text = matches!(part, Part::Constant(_)).then(|| tree.clone().with_texts(&unquoted).to_text());
        Some(Template { span: tree.span, part, nodes, source, text, error })
    }

    /// A value as it is written, with what stands before its expressions.
    fn source(&self, tree: &Tree) -> serde_json::Value {
        if self.before.is_empty() {
            return tree.to_json();
        }
        let whole = |text: String| match text_of(&text) {
            Text::Expression(inside) => format!("${{{}}}", self.whole(inside)),
            Text::Plain(_) => text,
        };
        tree.clone().with_texts(&whole).to_json()
    }

    /// A value in which nothing is known but what the node is given.
    pub(crate) fn test(&mut self, tree: &Tree, of: &str) -> Option<Template> {
        let template = self.template(tree)?;
        let look = "it sees only what the node is given: pass it on by `in`";
        for (node, span) in &template.nodes {
            self.found.add(FaultKind::Expression, *span, format!("`{of}` cannot see the node `{node}`: {look}"));
        }
        if template.constant().is_some() {
            let why = format!("`{of}` is an expression, such as `${{ .total > 100 }}`");
            return self.wrong(FaultKind::Value, tree.span, why);
        }
        template.nodes.is_empty().then_some(template)
    }

    fn part(&mut self, tree: &Tree, gathered: &mut Gathered) -> Option<Part> {
        Some(match &tree.value {
            Value::Text(text) => match text_of(text) {
                Text::Plain(text) => Part::Constant(text.into()),
                Text::Expression(inside) => {
                    let (compiled, nodes) = self.expression(inside, tree.span)?;
                    for (name, span) in nodes {
                        gathered.nodes.entry(name).or_insert(span);
                    }
                    gathered.error |= compiled.error;
                    Part::Expression(compiled.expression, compiled.plain)
                }
            },
            Value::List(items) => {
                let parts: Vec<Option<Part>> = items.iter().map(|item| self.part(item, gathered)).collect();
                Part::list(parts.into_iter().collect::<Option<_>>()?)
            }
            Value::Map(entries) => {
                let parts: Vec<Option<(String, Part)>> =
                    entries.iter().map(|entry| Some((entry.key.clone(), self.part(&entry.tree, gathered)?))).collect();
                Part::map(parts.into_iter().collect::<Option<_>>()?)
            }
            _ => Part::Constant(tree.to_json()),
        })
    }
}
