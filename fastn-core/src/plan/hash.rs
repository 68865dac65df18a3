//! The identity of a plan.

use std::time::Duration;

use super::graph::{Node, Plan, Scope, Source};
use super::ids::PlanHash;
use super::kind::NodeKind;
use crate::{Join, Tolerance};

/// How much of a plan goes into a hash.
#[derive(Clone, Copy, PartialEq)]
enum Depth {
    /// Everything but layout and types.
    Whole,
    /// What the journal of a run in flight refers to.
    Shape,
}

/// The hash of everything the plan says.
pub(super) fn whole(plan: &Plan) -> PlanHash {
    digest(plan, Depth::Whole)
}

/// The hash of what runs in flight depend on.
pub(super) fn shape(plan: &Plan) -> PlanHash {
    digest(plan, Depth::Shape)
}

fn digest(plan: &Plan, depth: Depth) -> PlanHash {
    let mut hash = Canonical(blake3::Hasher::new_derive_key("fastn 2026-11 plan hash v1"));
    if depth == Depth::Whole {
        hash.text(plan.name().as_str());
        hash.number(u64::from(plan.version().0));
        hash.number(plan.deadline().map_or(0, |d| micros(d).saturating_add(1)));
        // Nothing for those that need nothing: they keep the hash they had before there were tags.
        if !plan.requires().is_empty() {
            hash.number(plan.requires().len() as u64);
            plan.requires().iter().for_each(|tag| hash.text(tag.as_str()));
        }
    }
    for scope in plan.scopes() {
        hash.scope(scope);
    }
    for node in plan.nodes() {
        hash.node(node, depth);
    }
    PlanHash(*hash.0.finalize().as_bytes())
}

/// Half a million years and more are all the same.
fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Writes values so that no two sequences of values look alike: lengths before texts, counts before lists.
struct Canonical(blake3::Hasher);

impl Canonical {
    fn number(&mut self, n: u64) {
        self.0.update(&n.to_le_bytes());
    }

    fn numbers(&mut self, numbers: &[u64]) {
        numbers.iter().for_each(|n| self.number(*n));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn source(&mut self, source: &Source) {
        match source {
            Source::Input => self.number(0),
            Source::Node(node) => {
                self.number(1);
                self.number(u64::from(node.0));
            }
            Source::Constant(value) => {
                self.number(2);
                self.text(value.content().as_str());
                self.bytes(value.bytes());
            }
        }
    }

    fn scope(&mut self, scope: &Scope) {
        let (owner, number) = scope.owner.map_or((0, 0), |(node, number)| (u64::from(node.0) + 1, number));
        self.number(owner);
        self.number(u64::from(number));
        self.number(scope.len() as u64);
        self.source(&scope.output);
    }

    fn node(&mut self, node: &Node, depth: Depth) {
        self.text(node.name.as_str());
        match &node.kind {
            // What a run records of one whose items may fail is something else.
            NodeKind::Each { tolerance, .. } if *tolerance != Tolerance::None => {
                self.text("each, some of which may fail")
            }
            kind => self.text(kind.as_str()),
        }
        match &node.kind {
            NodeKind::Step => {}
            NodeKind::Call(action) => {
                self.text(&action.connector);
                self.text(&action.action);
            }
            NodeKind::When(arms) => {
                self.number(arms.len() as u64);
                arms.iter().for_each(|arm| self.text(&arm.label));
            }
            NodeKind::Each { concurrency, tolerance, .. } => {
                if depth == Depth::Whole {
                    self.number(u64::from(*concurrency));
                }
                // A part of the shape: what a failure that is recorded led to hangs on it.
                match tolerance {
                    // They keep the hash that they had before there was any.
                    Tolerance::None => {}
                    Tolerance::Failures(most) => self.numbers(&[0, u64::from(*most)]),
                    Tolerance::Percent(share) => self.numbers(&[1, u64::from(*share)]),
                    Tolerance::All => self.number(2),
                }
            }
            NodeKind::Try(guarded) => {
                self.number(u64::from(guarded.finally.is_some()));
                self.number(guarded.handlers.len() as u64);
                for handler in &guarded.handlers {
                    self.text(&handler.label);
                    // Which failures a run in flight hands to it is decided by what it takes.
                    self.number(handler.kinds.len() as u64);
                    handler.kinds.iter().for_each(|kind| self.text(kind.as_str()));
                }
                if let (Depth::Whole, Some(retry)) = (depth, &guarded.finally) {
                    self.bytes(&serde_json::to_vec(retry).unwrap_or_default());
                }
            }
            NodeKind::Race { arms, join } => {
                self.number(arms.len() as u64);
                arms.iter().for_each(|arm| self.text(&arm.label));
                match join {
                    Join::First => self.number(0),
                    Join::Of(count) => self.numbers(&[1, u64::from(*count)]),
                }
            }
            NodeKind::Fail(kind) => self.text(kind.as_str()),
            NodeKind::Sleep(span) if depth == Depth::Whole => self.number(micros(*span)),
            NodeKind::Repeat { most, .. } if depth == Depth::Whole => self.number(u64::from(*most)),
            NodeKind::Sleep(_) | NodeKind::Repeat { .. } => {}
            NodeKind::Wait(signal) => {
                self.text(&signal.name);
                self.text(signal.take.as_str());
            }
            NodeKind::Run(child) => {
                self.text(&child.workflow);
                self.text(child.bond.as_str());
                // Which version a run that is started later has is nothing that runs in flight depend on.
                if depth == Depth::Whole {
                    self.number(child.version.map_or(0, |version| u64::from(version.0) + 1));
                }
            }
        }
        self.number(node.inputs.len() as u64);
        node.inputs.iter().for_each(|source| self.source(source));
        let mut after: Vec<_> = node.after.iter().map(|ix| u64::from(ix.0)).collect();
        after.sort_unstable();
        after.dedup();
        self.number(after.len() as u64);
        after.into_iter().for_each(|ix| self.number(ix));
        if depth == Depth::Whole {
            // A policy is plain data without maps, so its JSON is canonical.
            self.bytes(&serde_json::to_vec(&node.policy).unwrap_or_default());
            // Nothing for those without: they keep their hash. Nothing else is as long as what stands before it says.
            if let Some(code) = &node.code {
                self.number(u64::MAX);
                self.text(code);
            }
        }
    }
}
