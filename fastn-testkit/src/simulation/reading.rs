//! What a journal means by its plan: which nodes are done and what they give. Worked out anew from the records each time,
//! and without the machine, so that the machine can be held against it.

use fastn_core::plan::{NodeIx, NodeKind, ScopeIx, Source};
use fastn_core::{Address, Durability, Part, Payload, Plan};
use serde_json::value::RawValue;

use super::facts::Facts;

/// What the first `upto` records of a run say.
pub(super) struct Reading<'a> {
    pub(super) plan: &'a Plan,
    pub(super) facts: &'a Facts,
    pub(super) input: &'a Payload,
    pub(super) upto: usize,
}

/// What can be said of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known<T> {
    Yes(T),
    No,
    /// It hangs on a result that need not be recorded yet, because its step chose so.
    Open,
}

impl<T> Known<T> {
    fn then<U>(self, next: impl FnOnce(T) -> Known<U>) -> Known<U> {
        match self {
            Self::Yes(value) => next(value),
            Self::No => Known::No,
            Self::Open => Known::Open,
        }
    }
}

impl Reading<'_> {
    /// What a node gives, if it is done.
    pub(super) fn output(&self, at: &Address) -> Known<Payload> {
        let Some(node) = self.plan.get(at.node) else { return Known::No };
        if let Some(value) = self.success(at, Part::OnError) {
            return Known::Yes(value.clone());
        }
        let unrecorded = || if node.policy.durability == Durability::Relaxed { Known::Open } else { Known::No };
        match &node.kind {
            NodeKind::Sleep(_) if self.facts.woke.get(at).is_some_and(|place| *place < self.upto) => {
                self.first_input(at)
            }
            NodeKind::Sleep(_) => Known::No,
            NodeKind::Wait(_) => {
                let given = self.facts.inboxes.given.get(at).filter(|given| given.place < self.upto);
                given.map_or(Known::No, |given| Known::Yes(given.output.clone()))
            }
            NodeKind::When(arms) => {
                let Some(choice) = self.success(at, Part::Work) else { return unrecorded() };
                let arm = choice.decode::<usize>().ok().and_then(|arm| arms.get(arm));
                arm.map_or(Known::No, |arm| self.scope_output(arm.scope, &at.items))
            }
            NodeKind::Each { body, .. } => self.first_input(at).then(|list| {
                let mut text = vec![b'['];
                for item in 0..items_of(&list).len() {
                    let mut items = at.items.clone();
                    items.push(u32::try_from(item).unwrap_or(u32::MAX));
                    match self.scope_output(*body, &items) {
                        Known::Yes(value) => {
                            if item > 0 {
                                text.push(b',');
                            }
                            text.extend_from_slice(value.bytes());
                        }
                        other => return other,
                    }
                }
                text.push(b']');
                Known::Yes(Payload::json(text))
            }),
            _ => self.success(at, Part::Work).map_or_else(unrecorded, |value| Known::Yes(value.clone())),
        }
    }

    /// Whether everything a node follows is done.
    pub(super) fn is_ready(&self, at: &Address) -> Known<()> {
        let Some(node) = self.plan.get(at.node) else { return Known::No };
        let inputs = node.inputs.iter().filter_map(|source| match source {
            Source::Node(before) => Some(*before),
            _ => None,
        });
        let mut ready = Known::Yes(());
        for before in inputs.chain(node.after.iter().copied()) {
            match self.output(&Address { node: before, items: at.items.clone() }) {
                Known::Yes(_) => {}
                Known::No => return Known::No,
                Known::Open => ready = Known::Open,
            }
        }
        let Some((owner, number)) = self.plan.scope(node.scope).owner else { return ready };
        let opened = match &self.plan.node(owner).kind {
            NodeKind::Each { .. } => {
                let mut above = Address { node: owner, items: at.items.clone() };
                above.items.pop();
                self.is_ready(&above)
            }
            _ => match self.success(&Address { node: owner, items: at.items.clone() }, Part::Work) {
                Some(choice) if choice.decode::<u32>().is_ok_and(|arm| arm == number) => Known::Yes(()),
                Some(_) => Known::No,
                None if self.plan.node(owner).policy.durability == Durability::Relaxed => Known::Open,
                None => Known::No,
            },
        };
        if opened == Known::Yes(()) { ready } else { opened }
    }

    /// What a node is given.
    pub(super) fn args(&self, at: &Address) -> Vec<Known<Payload>> {
        let node = self.plan.get(at.node);
        let sources = node.map_or(&[][..], |node| &node.inputs);
        sources.iter().map(|source| self.value(source, at)).collect()
    }

    /// What a whole run gives.
    pub(super) fn outcome(&self) -> Known<Payload> {
        self.scope_output(ScopeIx(0), &[])
    }

    fn success(&self, at: &Address, part: Part) -> Option<&Payload> {
        self.facts.success(at, part).filter(|success| success.place < self.upto).map(|success| &success.output)
    }

    fn scope_output(&self, scope: ScopeIx, items: &[u32]) -> Known<Payload> {
        let scope_ = self.plan.scope(scope);
        let address = |node: NodeIx| Address { node, items: items.to_vec() };
        let mut open = false;
        for node in scope_.nodes() {
            match self.output(&address(node)) {
                Known::Yes(_) => {}
                Known::No => return Known::No,
                Known::Open => open = true,
            }
        }
        if open {
            return Known::Open;
        }
        match &scope_.output {
            Source::Constant(value) => Known::Yes(value.clone()),
            Source::Node(node) => self.output(&address(*node)),
            Source::Input => self.scope_input(scope, items),
        }
    }

    fn first_input(&self, at: &Address) -> Known<Payload> {
        let source = self.plan.get(at.node).and_then(|node| node.inputs.first()).unwrap_or(&Source::Input);
        self.value(source, at)
    }

    /// The value of a source, seen from a node.
    fn value(&self, source: &Source, at: &Address) -> Known<Payload> {
        match source {
            Source::Constant(value) => Known::Yes(value.clone()),
            Source::Node(node) => self.output(&Address { node: *node, items: at.items.clone() }),
            Source::Input => self.scope_input(self.plan.node(at.node).scope, &at.items),
        }
    }

    fn scope_input(&self, scope: ScopeIx, items: &[u32]) -> Known<Payload> {
        let Some((owner, _)) = self.plan.scope(scope).owner else { return Known::Yes(self.input.clone()) };
        let mut above = Address { node: owner, items: items.to_vec() };
        match &self.plan.node(owner).kind {
            NodeKind::Each { .. } => {
                let item = above.items.pop().and_then(|item| usize::try_from(item).ok());
                self.first_input(&above).then(|list| {
                    let value = item.and_then(|item| items_of(&list).into_iter().nth(item));
                    value.map_or(Known::No, Known::Yes)
                })
            }
            _ => self.first_input(&above),
        }
    }
}

/// The items of a list.
fn items_of(list: &Payload) -> Vec<Payload> {
    let items: Vec<Box<RawValue>> = list.decode().unwrap_or_default();
    items.into_iter().map(|item| Payload::json(item.get().to_owned())).collect()
}
