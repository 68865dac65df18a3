//! What a run was told, and who waits for it.

use std::collections::{BTreeMap, VecDeque};

use fastn_core::{Payload, Take};
use foldhash::HashSet;

use super::slot::Slot;

/// What a run was told, and who waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    inboxes: BTreeMap<String, Inbox>,
    /// What was told, since it may be told again.
    known: HashSet<[u8; 16]>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inbox {
    /// What nobody was given yet, in the order in which it came; of those of which the first counts, that one.
    pub(super) values: VecDeque<Payload>,
    /// Who waits, in the order in which they began to.
    pub(super) waiting: VecDeque<Slot>,
}

impl Signals {
    /// The value for somebody who begins to wait, if there is one.
    pub(super) fn take(&mut self, signal: &str, take: Take) -> Option<Payload> {
        let values = &mut self.inboxes.get_mut(signal)?.values;
        match take {
            Take::First => values.front().cloned(),
            _ => values.pop_front(),
        }
    }

    pub(super) fn inbox(&mut self, signal: &str) -> &mut Inbox {
        // Looked for first: a name is copied once.
        if !self.inboxes.contains_key(signal) {
            self.inboxes.insert(signal.to_owned(), Inbox::default());
        }
        self.inboxes.entry(signal.to_owned()).or_default()
    }

    /// It was told this; whether it was not before.
    pub(super) fn hear(&mut self, id: [u8; 16]) -> bool {
        self.known.insert(id)
    }

    pub(super) fn has_heard(&self, id: &[u8; 16]) -> bool {
        self.known.contains(id)
    }

    /// Whether there is a value for whoever begins to wait.
    pub(super) fn has_value(&self, signal: &str) -> bool {
        self.inboxes.get(signal).is_some_and(|inbox| !inbox.values.is_empty())
    }

    /// It does not wait any more.
    pub(super) fn forget(&mut self, signal: &str, slot: Slot) {
        if let Some(inbox) = self.inboxes.get_mut(signal) {
            inbox.waiting.retain(|waiting| *waiting != slot);
        }
    }
}
