//! From addresses in the journal to slots in the machine, and back.

use fastn_core::plan::{NodeIx, NodeKind, Source};
use fastn_core::{Address, Part, Payload, Result};

use super::cell::{State, Try};
use super::slot::{ScopeId, Slot};
use super::state::{Machine, ROOT, corrupt};
use super::turn::Task;

/// The scope of the whole workflow is opened first and closed last.
const ROOT_ID: ScopeId = ScopeId(0);

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
        // Owners from the inside out, then down again through the open scopes.
        let mut owners = Vec::new();
        let mut scope = node.scope;
        while let Some((owner, _)) = self.plan.scope(scope).owner {
            owners.push(owner);
            scope = self.plan.node(owner).scope;
        }
        let mut items = at.items.iter();
        let mut id = ROOT_ID;
        for owner in owners.into_iter().rev() {
            let slot = Slot { scope: id, node: owner };
            id = match &self.plan.node(owner).kind {
                NodeKind::Each { .. } => {
                    let item = *items.next().ok_or_else(|| corrupt("the item is missing", at.node))?;
                    self.begin_up_to(slot, item)?;
                    match &self.scopes.cell(slot)?.state {
                        State::Items(items) => items.scope(item),
                        _ => None,
                    }
                }
                kind => {
                    let round = match kind {
                        NodeKind::Repeat { .. } => {
                            let item = *items.next().ok_or_else(|| corrupt("the round is missing", at.node))?;
                            self.round(slot)?.done == item
                        }
                        _ => true,
                    };
                    match &self.scopes.cell(slot)?.state {
                        State::Arm(scope) if round => Some(*scope),
                        _ => None,
                    }
                }
            }
            .ok_or_else(|| corrupt("it is not being worked on", at.node))?;
        }
        Ok(Slot { scope: id, node: at.node })
    }

    /// The address of a slot.
    pub(super) fn address(&self, slot: Slot) -> Result<Address> {
        let mut items = Vec::new();
        let mut parent = self.scopes.get(slot.scope)?.parent;
        while let Some(above) = parent {
            if matches!(self.plan.node(above.slot.node).kind, NodeKind::Each { .. } | NodeKind::Repeat { .. }) {
                items.push(above.item);
            }
            parent = self.scopes.get(above.slot.scope)?.parent;
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
