//! What nodes refer to is there.

use std::collections::BTreeSet;

use crate::fault::{FaultKind, Found};
use crate::model::{Kind, Node, OnError, Scope};
use crate::place::Span;
use crate::suggest::meant;
use crate::template::Template;

/// The names of a scope, and of those around it.
pub(super) struct Names<'a> {
    pub(super) here: BTreeSet<&'a str>,
    pub(super) around: Vec<&'a str>,
}

impl<'a> Names<'a> {
    pub(super) fn of(scope: &'a Scope, around: &Names<'a>) -> Self {
        let here = scope.names.iter().map(String::as_str).collect();
        let around = around.around.iter().chain(&around.here).copied().collect();
        Self { here, around }
    }

    pub(super) const fn none() -> Self {
        Self { here: BTreeSet::new(), around: Vec::new() }
    }

    fn check(&self, name: &str, span: Span, found: &mut Found) {
        if self.here.contains(name) {
            return;
        }
        let shown: String = name.chars().take(80).collect();
        let (message, help) = if self.around.contains(&name) {
            let help = "what is needed inside is passed on by `in`, and is `.` there".to_owned();
            (format!("the node `{shown}` stands outside of this scope"), Some(help))
        } else {
            (format!("there is no node `{shown}`"), meant(name, self.here.iter().copied()))
        };
        found.add_with(FaultKind::Unknown, span, message, help);
    }

    /// Whether all that a template takes something from is there.
    pub(super) fn check_template(&self, template: &Template, found: &mut Found) {
        template.nodes.iter().for_each(|(name, span)| self.check(name, *span, found));
    }

    pub(super) fn check_node(&self, node: &Node, found: &mut Found) {
        templates(node).for_each(|template| self.check_template(template, found));
        node.needs.iter().for_each(|need| self.check(&need.it, need.span, found));
        let looks = templates(node).find(|template| template.error);
        if let Some(template) = looks {
            found.add(FaultKind::Expression, template.span, "there is an `$error` only in `on_error`");
        }
        if let Some(OnError::Gives(template)) = &node.policy.on_error {
            self.check_template(template, found);
        }
    }
}

/// The templates of a node that see other nodes.
fn templates(node: &Node) -> impl Iterator<Item = &Template> {
    let (own, args): (Option<&Template>, &[Template]) = match &node.kind {
        Kind::Transform(template) => (Some(template), &[]),
        Kind::Task { args: Some(args), .. } | Kind::Wait { args: Some(args), .. } => (None, args),
        _ => (None, &[]),
    };
    node.input.iter().chain(own).chain(args)
}

/// The only node of a scope that no other one takes something from or waits for.
pub(super) fn last(scope: &Scope) -> Option<&str> {
    let taken: BTreeSet<&str> = scope
        .nodes
        .iter()
        .flat_map(|node| {
            let taken = templates(node).flat_map(|template| template.nodes.keys().map(String::as_str));
            taken.chain(node.needs.iter().map(|need| need.it.as_str()))
        })
        .collect();
    let mut last = scope.nodes.iter().map(|node| node.name.it.as_str()).filter(|name| !taken.contains(name));
    let only = last.next()?;
    last.next().is_none().then_some(only)
}
