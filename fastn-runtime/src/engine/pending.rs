//! What a turn leaves to be done.

use fastn_core::plan::{Node, NodeKind};
use fastn_core::{Durability, Outcome, Part, Plan};
use fastn_store::Then;

use crate::journal::Ticket;
use crate::machine::Action;

/// What a turn leaves to be done once it is durable.
pub(super) struct Pending {
    pub(super) ticket: Option<Ticket>,
    pub(super) actions: Vec<Action>,
    pub(super) then: Then,
    pub(super) outcome: Option<Box<Outcome>>,
}

impl Pending {
    /// What it waits for before anything is done of it, if for anything: its turn, or one before it that it follows from.
    pub(super) const fn take_ticket(&mut self) -> Option<Ticket> {
        self.ticket.take()
    }

    /// As [`Pending::take_ticket`], without taking it.
    pub(super) const fn ticket(&self) -> Option<&Ticket> {
        self.ticket.as_ref()
    }

    /// Whether the run goes on and nothing of what is to be done follows from what this turn records.
    pub(super) fn is_ahead(&self) -> bool {
        let ahead = |action: &Action| matches!(action, Action::Run(task) if task.ahead);
        self.then == Then::Run && self.actions.iter().all(ahead)
    }

    /// Whether the turn may become durable with a later group: if all that follows is steps that may be made again. An
    /// at-most-once step may not, nor the start of another run, and no undo or `finally`: were the turn lost, what was undone would be forgotten. A run that waits
    /// may leave memory, and then the store must have all of it.
    pub(super) fn may_relax(&self, plan: &Plan) -> bool {
        let again = |action: &Action| match action {
            Action::Run(task) if !matches!(task.part, Part::Undo | Part::Finally) => {
                // A run that is started is there whether or not what it was given is.
                let starts = |node: &Node| task.part == Part::Work && matches!(node.kind, NodeKind::Run(_));
                let node = plan.get(task.at.node).filter(|node| !starts(node));
                node.is_some_and(|node| node.policy.durability != Durability::AtMostOnce)
            }
            _ => false,
        };
        self.then == Then::Run && self.actions.iter().all(again)
    }

    pub(super) fn actions(&self) -> &[Action] {
        &self.actions
    }

    pub(super) fn into_parts(self) -> (Vec<Action>, Then, Option<Box<Outcome>>) {
        (self.actions, self.then, self.outcome)
    }
}
