//! What was told to a run, and who waits for it: read from its records, without the machine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fastn_core::{Address, Payload, Take, Timestamp};

#[derive(Clone, Debug)]
pub(super) struct Success {
    pub(super) place: usize,
    pub(super) output: Payload,
}

/// The signals and waits of a run.
#[derive(Debug, Default)]
pub(super) struct Inboxes {
    /// The ids of what was told.
    pub(super) heard: BTreeSet<[u8; 16]>,
    /// Who waits, and until when.
    pub(super) waiting: BTreeMap<Address, Option<Timestamp>>,
    /// Who was given what, and when.
    pub(super) given: BTreeMap<Address, Success>,
    of: BTreeMap<String, Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    values: VecDeque<Payload>,
    queue: VecDeque<Address>,
}

impl Inboxes {
    /// A node begins to wait.
    pub(super) fn waits(&mut self, at: &Address, signal: &str, take: Take, until: Option<Timestamp>, place: usize) {
        let inbox = self.of.entry(signal.to_owned()).or_default();
        let value = if take == Take::First { inbox.values.front().cloned() } else { inbox.values.pop_front() };
        match value {
            Some(output) => drop(self.given.insert(at.clone(), Success { place, output })),
            None => {
                inbox.queue.push_back(at.clone());
                self.waiting.insert(at.clone(), until);
            }
        }
    }

    /// A node waits no longer.
    pub(super) fn gives_up(&mut self, at: &Address) {
        self.waiting.remove(at);
        self.of.values_mut().for_each(|inbox| inbox.queue.retain(|other| other != at));
    }

    /// The run was told something.
    pub(super) fn told(&mut self, id: [u8; 16], signal: &str, take: Take, value: &Payload, place: usize) {
        self.heard.insert(id);
        let inbox = self.of.entry(signal.to_owned()).or_default();
        let takers: Vec<_> = match take {
            Take::First => inbox.queue.drain(..).collect(),
            _ => inbox.queue.pop_front().into_iter().collect(),
        };
        if take == Take::First || takers.is_empty() {
            inbox.values.push_back(value.clone());
        }
        for at in takers {
            self.waiting.remove(&at);
            self.given.insert(at, Success { place, output: value.clone() });
        }
    }

    /// Whether this is of no use any more, since there is the one value that counts.
    pub(super) fn has_first(&self, signal: &str, take: Take) -> bool {
        take == Take::First && self.of.get(signal).is_some_and(|inbox| !inbox.values.is_empty())
    }
}
