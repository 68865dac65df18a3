//! What hosts call, and how large a draft may be.

use std::collections::BTreeSet;

use super::number::number;
use super::scope::{check_scope, inner};
use super::signals::signals;
use crate::plan::draft::{Draft, DraftKind, DraftScope};
use crate::plan::fault::{PlanFault, PlanFaults};
use crate::plan::graph::Plan;
use crate::{Tag, WorkflowName};

/// How large a plan may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most nodes, those of all scopes counted together.
    pub nodes: usize,
    /// How deep scopes may be nested; the whole workflow is at depth 1.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { nodes: 1_000_000, depth: 32 }
    }
}

impl Limits {
    /// At most so many nodes, those of all scopes counted together.
    #[must_use]
    pub const fn nodes(mut self, most: usize) -> Self {
        self.nodes = most;
        self
    }
}

impl Draft {
    /// Checks the draft under the default [`Limits`] and makes it a plan.
    ///
    /// # Errors
    /// [`PlanFaults`]: every fault there is, each with the node's name.
    pub fn check(self) -> Result<Plan, PlanFaults> {
        self.check_within(Limits::default())
    }

    /// Checks the draft under these limits and makes it a plan.
    ///
    /// # Errors
    /// [`PlanFaults`]: every fault there is, each with the node's name.
    pub fn check_within(self, limits: Limits) -> Result<Plan, PlanFaults> {
        check(self, limits)
    }
}

fn check(draft: Draft, limits: Limits) -> Result<Plan, PlanFaults> {
    let mut faults = Vec::new();
    let name = WorkflowName::new(&draft.name)
        .map_err(|why| faults.push(PlanFault::WorkflowName { name: draft.name.clone(), why }))
        .ok();
    let requires = tags(&draft.requires, &mut faults);

    if let Err(fault) = measure(&draft.root, limits) {
        // Nothing that is too large is looked at more closely.
        faults.push(fault);
        dismantle(draft.root);
        return Err(PlanFaults { workflow: draft.name, faults });
    }
    check_scope(&draft.root, "", &mut faults);

    let signals = signals(&draft.root, &mut faults);

    match name {
        Some(name) if faults.is_empty() => Ok(number(name, requires, signals, draft)),
        _ => Err(PlanFaults { workflow: draft.name, faults }),
    }
}

fn tags(requires: &[String], faults: &mut Vec<PlanFault>) -> BTreeSet<Tag> {
    let mut tags = BTreeSet::new();
    for tag in requires {
        match Tag::new(tag) {
            Ok(tag) => drop(tags.insert(tag)),
            Err(why) => faults.push(PlanFault::Tag { tag: tag.clone(), why }),
        }
    }
    tags
}

/// Counts nodes and depth without recursion, so that a hostile draft cannot exhaust the stack.
fn measure(root: &DraftScope, limits: Limits) -> Result<(), PlanFault> {
    let mut count = 0;
    let mut open = vec![(root, 1, "")];
    while let Some((scope, depth, owner)) = open.pop() {
        if depth > limits.depth {
            return Err(PlanFault::TooDeep { node: owner.to_owned(), most: limits.depth });
        }
        count += scope.nodes.len();
        if count > limits.nodes {
            return Err(PlanFault::TooManyNodes { count, most: limits.nodes });
        }
        for node in &scope.nodes {
            open.extend(inner(&node.kind).into_iter().map(|(_, scope)| (scope, depth + 1, node.name.as_str())));
        }
    }
    Ok(())
}

/// Drops a draft scope by scope, without recursion: dropped as it is, one that is too deep would exhaust the stack.
fn dismantle(root: DraftScope) {
    let mut open = vec![root];
    while let Some(scope) = open.pop() {
        for node in scope.nodes {
            match node.kind {
                DraftKind::When(arms) | DraftKind::Race { arms, .. } => {
                    open.extend(arms.into_iter().map(|(_, arm)| arm));
                }
                DraftKind::Try { body, handlers, .. } => {
                    open.push(body);
                    open.extend(handlers.into_iter().map(|handler| handler.scope));
                }
                DraftKind::Each { body, .. } | DraftKind::Repeat { body, .. } => open.push(body),
                _ => {}
            }
        }
    }
}
