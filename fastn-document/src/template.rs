//! Values with expressions in them.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::jq::{Evaluation, Expression, Plain};
use crate::limits::Fuel;
use crate::place::Span;
use crate::syntax::Tree;

/// A value that may have expressions in it.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) span: Span,
    pub(crate) part: Part,
    /// The nodes that it takes something from, and where.
    pub(crate) nodes: BTreeMap<String, Span>,
    /// It as it was written.
    pub(crate) source: Json,
    /// It as JSON, if there are no expressions in it: with its keys in the order in which they were written.
    pub(crate) text: Option<String>,
    /// Whether it looks at the failure.
    pub(crate) error: bool,
}

/// A value, or a part of one.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Constant(Json),
    Expression(Expression, Option<Plain>),
    List(Vec<Part>),
    Map(Vec<(String, Part)>),
}

/// What a template is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    pub(crate) input: &'a Json,
    pub(crate) nodes: &'a Json,
    pub(crate) error: &'a Json,
}

impl Template {
    /// A value without expressions, as it is.
    pub(crate) fn constant(&self) -> Option<&Json> {
        if let Part::Constant(value) = &self.part { Some(value) } else { None }
    }

    /// What it passes on, if it does nothing else.
    pub(crate) const fn plain(&self) -> Option<&Plain> {
        if let Part::Expression(_, Some(plain)) = &self.part { Some(plain) } else { None }
    }

    /// Its value. All of its expressions together may cost as much.
    pub(crate) fn evaluate(&self, given: Given<'_>, fuel: &mut Fuel) -> Result<Json, Evaluation> {
        self.part.evaluate(given, fuel)
    }
}

impl Part {
    /// A list; nothing but a value, if there are no expressions in it.
    pub(crate) fn list(parts: Vec<Self>) -> Self {
        let constants: Option<Vec<Json>> = parts.iter().map(Self::constant).collect();
        constants.map_or(Self::List(parts), |items| Self::Constant(Json::Array(items)))
    }

    pub(crate) fn map(parts: Vec<(String, Self)>) -> Self {
        let constants: Option<Map<String, Json>> =
            parts.iter().map(|(key, part)| Some((key.clone(), part.constant()?))).collect();
        constants.map_or(Self::Map(parts), |map| Self::Constant(Json::Object(map)))
    }

    fn constant(&self) -> Option<Json> {
        if let Self::Constant(value) = self { Some(value.clone()) } else { None }
    }

    /// As deep as the document, which is bounded.
    fn evaluate(&self, given: Given<'_>, fuel: &mut Fuel) -> Result<Json, Evaluation> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Expression(expression, _) => expression.evaluate(given.input, given.nodes, given.error, fuel),
            Self::List(parts) => parts.iter().map(|part| part.evaluate(given, fuel)).collect(),
            Self::Map(parts) => {
                let entries = parts.iter().map(|(key, part)| Ok((key.clone(), part.evaluate(given, fuel)?)));
                entries.collect::<Result<_, _>>().map(Json::Object)
            }
        }
    }
}

/// A text of a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Text<'a> {
    /// What stands between `${` and `}`.
    Expression(&'a str),
    /// A text as it is meant.
    Plain(&'a str),
}

/// Tells expressions from texts. A text that begins with `${`, or with more of `$` before the brace, is written with one more.
pub(crate) fn text_of(text: &str) -> Text<'_> {
    // However many there are.
    let quoted = text.trim_start_matches('$').starts_with('{') && text.starts_with("$$");
    if let Some(plain) = text.strip_prefix('$').filter(|_| quoted) {
        return Text::Plain(plain);
    }
    match text.trim_end().strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        Some(inside) => Text::Expression(inside),
        None => Text::Plain(text),
    }
}

/// How a value is written so that it is read as it is.
pub(crate) fn quoted(tree: Tree) -> Tree {
    tree.with_texts(&quote)
}

fn quote(text: String) -> String {
    if text.starts_with('$') && text.trim_start_matches('$').starts_with('{') { format!("${text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_read_as_it_was() {
        assert_eq!(text_of("${ .a }"), Text::Expression(" .a "));
        assert_eq!(text_of("cost: ${ .a }"), Text::Plain("cost: ${ .a }"));
        for text in ["${ .a }", "$${ .a }", "$$${x", "$", "$$", "${", "plain", "$$x"] {
            let written = quote(text.to_owned());
            assert_eq!(text_of(&written), Text::Plain(text), "{written}");
        }
    }
}
