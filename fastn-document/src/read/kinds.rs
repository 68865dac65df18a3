//! What each kind of node says.

use std::borrow::Cow;

use fastn_core::{ActionRef, Bond, ChildRef, SignalRef, Take, Version};

use super::fields::Fields;
use super::reader::Reader;
use crate::fault::FaultKind;
use crate::model::{At, Chooser};
use crate::place::Span;
use crate::syntax::{Entry, Tree, Value};
use crate::template::Template;

impl Reader<'_> {
    /// `CONNECTOR.ACTION`.
    pub(super) fn action(&mut self, tree: &Tree) -> Option<ActionRef> {
        let text = self.text_in(tree, "call")?;
        match text.split_once('.') {
            Some((connector, action)) if !connector.is_empty() && !action.is_empty() => {
                Some(ActionRef { connector: Cow::Owned(connector.to_owned()), action: Cow::Owned(action.to_owned()) })
            }
            _ => {
                self.wrong(FaultKind::Value, tree.span, "`call` is a connector and its action, such as `http.request`")
            }
        }
    }

    /// A signal's name, or that with which of its values.
    pub(super) fn signal(&mut self, tree: &Tree) -> Option<SignalRef> {
        if let Value::Text(name) = &tree.value {
            return Some(SignalRef { name: Cow::Owned(name.clone()), take: Take::Each });
        }
        let fields = self.fields_in(tree, "`wait`", &["signal", "take"])?;
        let take = fields
            .get("take")
            .and_then(|tree| self.word(tree, "take", &[("each", Take::Each), ("first", Take::First)]))
            .unwrap_or_default();
        let name = self.must(&fields, "signal", "a wait")?;
        let name = self.text_in(name, "signal")?;
        Some(SignalRef { name: Cow::Owned(name), take })
    }

    /// A workflow's name, or that with its version and what becomes of its run.
    pub(super) fn child(&mut self, tree: &Tree) -> Option<ChildRef> {
        if let Value::Text(name) = &tree.value {
            return Some(ChildRef { workflow: Cow::Owned(name.clone()), version: None, bond: Bond::Own });
        }
        let fields = self.fields_in(tree, "`run`", &["workflow", "version", "bond"])?;
        let version = fields.get("version").and_then(|tree| self.count_in(tree, "version")).map(Version);
        let words = [("own", Bond::Own), ("leave", Bond::Leave), ("detach", Bond::Detach)];
        let bond = fields.get("bond").and_then(|tree| self.word(tree, "bond", &words)).unwrap_or_default();
        let workflow = self.must(&fields, "workflow", "a run")?;
        let workflow = self.text_in(workflow, "workflow")?;
        Some(ChildRef { workflow: Cow::Owned(workflow), version, bond })
    }

    /// What a task is given, one value for each argument.
    pub(super) fn args(&mut self, tree: &Tree) -> Option<Vec<Template>> {
        let items = self.list_in(tree, "args")?;
        let templates: Vec<Option<Template>> = items.iter().map(|item| self.arg(item)).collect();
        templates.into_iter().collect()
    }

    fn arg(&mut self, tree: &Tree) -> Option<Template> {
        let template = self.template(tree)?;
        if template.constant().is_none() && template.plain().is_none() {
            let message =
                "an argument is `${ . }`, `${ $nodes.NAME }` or a value without expressions; with `in` it may be any";
            return self.wrong(FaultKind::Value, tree.span, message);
        }
        Some(template)
    }

    /// Whether a repeat goes on: `while`, `until`, or a task that says so.
    pub(super) fn repeat(&mut self, entry: &Entry, path: &str) -> Option<(Chooser, u32)> {
        let fields = self.fields_in(&entry.tree, "`repeat`", &["while", "until", "by", "at_most"])?;
        let at_most = self.must(&fields, "at_most", "a repeat").and_then(|tree| self.count_in(tree, "at_most"));
        let chooser = match (fields.get("while"), fields.get("until"), fields.get("by")) {
            (Some(tree), None, None) => {
                self.test(tree, "while").map(|test| Chooser::Expressions { tests: vec![test], until: false })
            }
            (None, Some(tree), None) => {
                self.test(tree, "until").map(|test| Chooser::Expressions { tests: vec![test], until: true })
            }
            (None, None, Some(tree)) => self.task_name(tree, "by", path.to_owned()).map(Chooser::Task),
            _ => self.wrong(FaultKind::Value, entry.span, "`repeat` says either `while`, `until` or `by`"),
        };
        Some((chooser?, at_most?))
    }

    /// Which keys of a node mean something for its kind only.
    pub(super) fn belongs(&mut self, fields: &Fields<'_>, kind: &str, keys: &[(&str, &[&str])]) {
        for (key, kinds) in keys {
            if let Some(entry) = fields.entry(key).filter(|_| !kinds.contains(&kind)) {
                let message = format!("`{key}` means nothing for a `{kind}`");
                self.found.add(FaultKind::Value, entry.span, message);
            }
        }
    }

    /// A word of the document that stands where it was written.
    pub(super) fn spanned(span: Span, it: impl Into<String>) -> At<String> {
        At { span, it: it.into() }
    }
}
