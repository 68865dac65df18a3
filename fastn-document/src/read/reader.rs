//! What is common to all that reads.

use std::collections::BTreeMap;

use crate::fault::{FaultKind, Found};
use crate::jq::{Compiled, compile, syntax};
use crate::limits::Limits;
use crate::place::Span;
use crate::suggest::meant;
use crate::syntax::{Tree, Value};

/// Reads a document, and gathers what is wrong with it.
pub(crate) struct Reader<'a> {
    pub(crate) text: &'a str,
    pub(crate) limits: &'a Limits,
    pub(crate) found: &'a mut Found,
    pub(super) nodes: usize,
    expressions: usize,
    /// What stands before every expression that is read, with names for it. Nothing in documents of our own.
    pub(crate) before: String,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(text: &'a str, limits: &'a Limits, found: &'a mut Found) -> Self {
        Self { text, limits, found, nodes: 0, expressions: 0, before: String::new() }
    }

    /// A fault, and nothing to go on with.
    pub(crate) fn wrong<T>(&mut self, kind: FaultKind, span: Span, message: impl Into<String>) -> Option<T> {
        self.found.add(kind, span, message);
        None
    }

    /// A name that is not there, with the one that was probably meant.
    pub(crate) fn unknown<'n>(&mut self, span: Span, what: &str, word: &str, names: impl IntoIterator<Item = &'n str>) {
        let shown: String = word.chars().take(80).collect();
        self.found.add_with(FaultKind::Unknown, span, format!("there is no {what} `{shown}`"), meant(word, names));
    }

    pub(crate) fn text_in(&mut self, tree: &Tree, of: &str) -> Option<String> {
        match &tree.value {
            Value::Text(text) => Some(text.clone()),
            _ => self.wrong(FaultKind::Value, tree.span, format!("`{of}` is a text, and this is {}", tree.what())),
        }
    }

    /// A whole number from 1 on.
    pub(crate) fn count_in(&mut self, tree: &Tree, of: &str) -> Option<u32> {
        let number = if let Value::Number(number) = &tree.value { number.as_u64() } else { None };
        match number.and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0) {
            Some(number) => Some(number),
            None => self.wrong(FaultKind::Value, tree.span, format!("`{of}` is a whole number from 1 on")),
        }
    }

    pub(crate) fn list_in<'t>(&mut self, tree: &'t Tree, of: &str) -> Option<&'t [Tree]> {
        match &tree.value {
            Value::List(items) => Some(items),
            _ => self.wrong(FaultKind::Value, tree.span, format!("`{of}` is a list, and this is {}", tree.what())),
        }
    }

    /// An expression with what stands before it.
    pub(crate) fn whole(&self, text: &str) -> String {
        if self.before.is_empty() { text.to_owned() } else { format!("{}({text}\n)", self.before) }
    }

    /// One node more; `false` if that is too many.
    pub(crate) fn counts(&mut self, span: Span) -> bool {
        self.nodes += 1;
        if self.nodes == self.limits.nodes + 1 {
            let message = format!("there are more than {} nodes", self.limits.nodes);
            self.found.add(FaultKind::Limit, span, message);
        }
        self.nodes <= self.limits.nodes
    }

    /// Compiles an expression that stands somewhere in this part of the document.
    pub(crate) fn expression(&mut self, text: &str, span: Span) -> Option<(Compiled, BTreeMap<String, Span>)> {
        if text.len() > self.limits.expression {
            let message =
                format!("an expression has at most {} bytes, and this has {}", self.limits.expression, text.len());
            return self.wrong(FaultKind::Limit, span, message);
        }
        self.expressions += 1;
        if self.expressions > self.limits.expressions {
            // Told once.
            if self.expressions == self.limits.expressions + 1 {
                let message = format!("there are more than {} expressions", self.limits.expressions);
                self.found.add(FaultKind::Limit, span, message);
            }
            return None;
        }
        // Where it stands as it was written, if it does: escapes and folded lines move what follows.
        let written = self.text.get(span.start..span.end).unwrap_or_default();
        let start = written.find(text).map(|at| span.start + at);
        let written_at =
            |at: &std::ops::Range<usize>| start.map_or(span, |start| Span::new(start + at.start, start + at.end));
        let (whole, shift) = (self.whole(text), if self.before.is_empty() { 0 } else { self.before.len() + 1 });
        let place = |at: &std::ops::Range<usize>| {
            let inside = |at: usize| at.saturating_sub(shift).min(text.len());
            written_at(&(inside(at.start)..inside(at.end)))
        };
        // By itself first: what stands before it is nothing that its author could see.
        if let Err(wrong) = syntax(text) {
            for wrong in wrong {
                self.found.add(FaultKind::Expression, written_at(&wrong.at), wrong.message);
            }
            return None;
        }
        match compile(&whole) {
            Ok(compiled) => {
                let nodes = compiled.nodes.iter().map(|(name, at)| (name.clone(), place(at))).collect();
                Some((compiled, nodes))
            }
            Err(wrong) => {
                for wrong in wrong {
                    self.found.add(FaultKind::Expression, place(&wrong.at), wrong.message);
                }
                None
            }
        }
    }
}
