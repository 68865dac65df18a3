//! From addresses in the journal to slots in the machine, and back.

use fastn_core::plan::{NodeIx, NodeKind, ScopeIx, Source};
use fastn_core::{Address, Part, Payload, Result};

use super::cell::{State, Try};
use super::contained::{Unwinding, Why};
use super::slot::{ScopeId, Slot};
use super::state::{Machine, ROOT, corrupt};
use super::turn::Task;

/// The scope of the whole workflow is opened first and closed last.
const ROOT_ID: ScopeId = ScopeId(0);

/// One step on the way from the whole workflow to a scope: into a scope of a node.
struct Step {
    owner: NodeIx,
    /// Which of the node's scopes.
    which: u32,
    ix: ScopeIx,
    /// Whether an address has a number for it.
    counts: bool,
}

impl Step {
    fn number(&self, items: &mut std::slice::Iter<'_, u32>, at: &Address) -> Result<Option<u32>> {
        if !self.counts {
            return Ok(None);
        }
        items.next().copied().map(Some).ok_or_else(|| corrupt("the item or the round is missing", at.node))
    }
}

impl Machine {
    /// What the run was given.
    pub fn input(&self) -> Option<&Payload> {
        self.scopes.get(ROOT_ID).ok().map(|scope| &scope.input)
    }

    /// The slot of an address.
    ///
    /// # Errors
    /// `Corrupt` if there is no such instance at this point of the run.
    pub(super) fn locate(&mut self, at: &Address) -> Result<Slot> {
        let node = self.plan.get(at.node).ok_or_else(|| corrupt("no such node in the plan", at.node))?;
        if node.scope == ROOT {
            return Ok(Slot { scope: ROOT_ID, node: at.node });
        }
        let mut items = at.items.iter();
        let mut id = ROOT_ID;
        for step in self.way(at) {
            let slot = Slot { scope: id, node: step.owner };
            let number = step.number(&mut items, at)?;
            if let (NodeKind::Each { .. }, Some(item)) = (&self.plan.node(step.owner).kind, number) {
                self.begin_up_to(slot, item)?;
            }
            id = self.inside(slot, &step, number).ok_or_else(|| corrupt("it is not being worked on", at.node))?;
        }
        Ok(Slot { scope: id, node: at.node })
    }

    /// The innermost scope around an address in which nothing new begins, as far as the scopes around it are open; and its
    /// slot, if they all are.
    pub(super) fn unwinds_at(&self, at: &Address) -> Result<(Option<ScopeId>, Option<Slot>)> {
        self.plan.get(at.node).ok_or_else(|| corrupt("no such node in the plan", at.node))?;
        let mut items = at.items.iter();
        let (mut id, mut found) = (ROOT_ID, None);
        for step in self.way(at) {
            let number = step.number(&mut items, at)?;
            match self.inside(Slot { scope: id, node: step.owner }, &step, number) {
                Some(inner) => id = inner,
                None => return Ok((found, None)),
            }
            if let Some(Unwinding { why: Why::Failed(_), .. }) = self.unwinding(id) {
                found = Some(id);
            }
        }
        Ok((found, Some(Slot { scope: id, node: at.node })))
    }

    /// The steps from the whole workflow down to the scope of a node.
    fn way(&self, at: &Address) -> Vec<Step> {
        let mut way = Vec::new();
        let mut ix = self.plan.get(at.node).map_or(ROOT, |node| node.scope);
        while let Some((owner, which)) = self.plan.scope(ix).owner {
            let counts = self.plan.node(owner).kind.opens_again(which);
            way.push(Step { owner, which, ix, counts });
            ix = self.plan.node(owner).scope;
        }
        way.reverse();
        way
    }

    /// The scope that a step leads into, if it is open.
    fn inside(&self, slot: Slot, step: &Step, number: Option<u32>) -> Option<ScopeId> {
        match &self.scopes.cell(slot).ok()?.state {
            State::Items(items) => items.scope(number?),
            State::Race(race) => race.scope(step.which),
            State::Arm(id) => {
                let open = self.scopes.get(*id).ok()?;
                let item = open.parent.map(|parent| parent.item);
                (open.plan == step.ix && (number.is_none() || number == item)).then_some(*id)
            }
            _ => None,
        }
    }

    /// The open scope of a node that goes by this number: the item of an `each`, or its place among those of the node.
    pub(super) fn scope_of(&self, slot: Slot, which: u32) -> Option<ScopeId> {
        match &self.scopes.cell(slot).ok()?.state {
            State::Items(items) => items.scope(which),
            State::Race(race) => race.scope(which),
            State::Arm(id) => {
                let owner = self.plan.scope(self.scopes.get(*id).ok()?.plan).owner;
                owner.is_some_and(|(_, number)| number == which).then_some(*id)
            }
            _ => None,
        }
    }

    /// The address of a slot.
    pub(super) fn address(&self, slot: Slot) -> Result<Address> {
        let mut items = Vec::new();
        let mut scope = self.scopes.get(slot.scope)?;
        while let (Some(above), Some((owner, which))) = (scope.parent, self.plan.scope(scope.plan).owner) {
            if self.plan.node(owner).kind.opens_again(which) {
                items.push(above.item);
            }
            scope = self.scopes.get(above.slot.scope)?;
        }
        items.reverse();
        Ok(Address { node: slot.node, items })
    }

    /// An attempt of a node's work or of its `on_error`.
    pub(super) fn task(&self, slot: Slot, attempt: &Try) -> Result<Task> {
        let scope = self.scopes.get(slot.scope)?;
        let inputs = &self.plan.node(slot.node).inputs;
        let mut args = Vec::with_capacity(inputs.len() + 1);
        if let (Part::OnError, Some(failure)) = (attempt.part, &attempt.failure) {
            args.push(Payload::encode(&**failure)?);
        }
        match self.rounds.get(&slot) {
            // Whether to go on is asked of what there is by now.
            Some(round) if attempt.part == Part::Work => args.push(round.value.clone()),
            _ => {
                for source in inputs {
                    args.push(scope.value(source)?);
                }
            }
        }
        let at = self.address(slot)?;
        Ok(Task { at, part: attempt.part, attempt: attempt.attempt, began: attempt.began, args, ahead: false })
    }

    /// The value of a node's first input.
    pub(super) fn first_input(&self, slot: Slot) -> Result<Payload> {
        let source = self.plan.node(slot.node).inputs.first().unwrap_or(&Source::Input);
        self.scopes.get(slot.scope)?.value(source)
    }

    /// A node's path, for people.
    pub(super) fn path_of(&self, node: NodeIx) -> String {
        self.plan.path(node)
    }
}
