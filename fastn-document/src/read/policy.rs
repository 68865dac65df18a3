//! How a node's work is done.

use std::time::Duration;

use fastn_core::{Durability, FailureKind, Jitter, Retry};

use super::fields::Fields;
use super::reader::Reader;
use super::span::parse_span;
use crate::fault::FaultKind;
use crate::model::{At, OnError, Policy};
use crate::suggest::meant;
use crate::syntax::{Tree, Value};

/// How a policy begins with its first wait.
type Begin = fn(Duration) -> Retry;

const RETRY: [&str; 7] = ["attempts", "backoff", "wait", "cap", "jitter", "elapsed", "except"];

impl Reader<'_> {
    pub(super) fn policy(&mut self, fields: &Fields<'_>, path: &str) -> Policy {
        Policy {
            retry: fields.get("retry").and_then(|tree| self.retry(tree)),
            within: fields.get("within").and_then(|tree| self.span(tree, "within")),
            deadline: fields.get("deadline").and_then(|tree| self.span(tree, "deadline")),
            durability: fields.get("durability").and_then(|tree| self.durability(tree)).unwrap_or_default(),
            undo: fields.get("undo").and_then(|tree| self.undo(tree, path)),
            on_error: fields.get("on_error").and_then(|tree| self.on_error(tree, path)),
        }
    }

    /// How long something takes.
    pub(crate) fn span(&mut self, tree: &Tree, of: &str) -> Option<Duration> {
        let span = if let Value::Text(text) = &tree.value { parse_span(text) } else { None };
        match span {
            Some(span) => Some(span),
            None => {
                let message = format!("`{of}` is a time such as `10s`, `1h30m`, `250ms` or `PT10S`");
                self.wrong(FaultKind::Value, tree.span, message)
            }
        }
    }

    /// One of these words.
    pub(crate) fn word<T: Copy>(&mut self, tree: &Tree, of: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text_in(tree, of)?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Some(*value),
            None => {
                let listed: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
                let help = meant(&text, words.iter().map(|(word, _)| *word));
                let message = format!("`{of}` is one of {}", listed.join(", "));
                self.found.add_with(FaultKind::Value, tree.span, message, help);
                None
            }
        }
    }

    fn durability(&mut self, tree: &Tree) -> Option<Durability> {
        let words = [
            ("strict", Durability::Strict),
            ("relaxed", Durability::Relaxed),
            ("at_most_once", Durability::AtMostOnce),
        ];
        self.word(tree, "durability", &words)
    }

    /// A number of retries, or a whole policy.
    pub(super) fn retry(&mut self, tree: &Tree) -> Option<Retry> {
        if let Value::Number(number) = &tree.value {
            return match number.as_u64().and_then(|retries| u32::try_from(retries).ok()) {
                Some(retries) => Some(Retry::from(retries)),
                None => self.wrong(FaultKind::Value, tree.span, "`retry` is a number of retries, or a map"),
            };
        }
        let fields = self.fields_in(tree, "`retry`", &RETRY)?;
        let wait = fields.get("wait").and_then(|tree| self.span(tree, "wait"));
        let wait = wait.unwrap_or(Duration::from_millis(100));
        let kinds: [(&str, Begin); 3] =
            [("fixed", Retry::fixed), ("linear", Retry::linear), ("exponential", Retry::exponential)];
        let begin = fields.get("backoff").and_then(|tree| self.word(tree, "backoff", &kinds));
        let mut retry = begin.unwrap_or(Retry::exponential)(wait);
        if let Some(most) = fields.get("attempts").and_then(|tree| self.count_in(tree, "attempts")) {
            retry = retry.attempts(most);
        }
        if let Some(longest) = fields.get("cap").and_then(|tree| self.span(tree, "cap")) {
            retry = retry.cap(longest);
        }
        if let Some(most) = fields.get("elapsed").and_then(|tree| self.span(tree, "elapsed")) {
            retry = retry.elapsed(most);
        }
        let words = [("none", Jitter::None), ("full", Jitter::Full)];
        if let Some(jitter) = fields.get("jitter").and_then(|tree| self.word(tree, "jitter", &words)) {
            retry = retry.jitter(jitter);
        }
        for tree in fields.get("except").and_then(|tree| self.list_in(tree, "except")).unwrap_or_default() {
            if let Some(kind) = self.text_in(tree, "except") {
                retry = retry.except(FailureKind::new(kind));
            }
        }
        Some(retry)
    }

    /// A function's name, or nothing for the one that is named as the node.
    pub(super) fn task_name(&mut self, tree: &Tree, of: &str, usual: String) -> Option<At<String>> {
        let name = if matches!(tree.value, Value::Null) { usual } else { self.text_in(tree, of)? };
        Some(At { span: tree.span, it: name })
    }

    fn undo(&mut self, tree: &Tree, path: &str) -> Option<(At<String>, Option<Retry>)> {
        self.called(tree, "undo", format!("{path}.undo"))
    }

    /// A function that is certain to be called, and when it is tried again.
    pub(super) fn called(&mut self, tree: &Tree, of: &str, usual: String) -> Option<(At<String>, Option<Retry>)> {
        if !matches!(tree.value, Value::Map(_)) {
            return self.task_name(tree, of, usual).map(|task| (task, None));
        }
        let fields = self.fields_in(tree, &format!("`{of}`"), &["task", "retry"])?;
        let task = match fields.get("task") {
            Some(tree) => self.task_name(tree, "task", usual)?,
            None => At { span: tree.span, it: usual },
        };
        let retry = fields.get("retry").and_then(|tree| self.retry(tree));
        Some((task, retry))
    }

    fn on_error(&mut self, tree: &Tree, path: &str) -> Option<OnError> {
        let usual = format!("{path}.on_error");
        if !matches!(tree.value, Value::Map(_)) {
            return self.task_name(tree, "on_error", usual).map(OnError::Task);
        }
        let fields = self.fields_in(tree, "`on_error`", &["task", "gives"])?;
        match (fields.get("task"), fields.get("gives")) {
            (Some(task), None) => self.task_name(task, "task", usual).map(OnError::Task),
            (None, Some(gives)) => {
                let template = self.template(gives)?;
                let look = "it sees what the node was given, and `$error`";
                for (node, span) in &template.nodes {
                    self.found.add(
                        FaultKind::Expression,
                        *span,
                        format!("`gives` cannot see the node `{node}`: {look}"),
                    );
                }
                template.nodes.is_empty().then_some(OnError::Gives(template))
            }
            _ => self.wrong(FaultKind::Value, tree.span, "`on_error` says either `task` or `gives`"),
        }
    }
}
