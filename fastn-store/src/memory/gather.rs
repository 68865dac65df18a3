//! Items that become one run, in the memory store.

use std::collections::HashMap;

use fastn_core::{Payload, QueueName, TenantId, Timestamp};

use super::House;
use crate::queue::{Gathering, item_of};
use crate::{Enqueue, Join, Once, RunNo, Written};

/// What an item is known by.
type ItemKey = (QueueName, TenantId, [u8; 16]);

/// The items that are known.
#[derive(Debug, Default)]
pub(super) struct Items {
    runs: HashMap<ItemKey, RunNo>,
    of: HashMap<RunNo, Gathered>,
}

/// The items of a run.
#[derive(Debug, Default)]
struct Gathered {
    keys: Vec<ItemKey>,
    /// None of them once the run has its list.
    items: Vec<Payload>,
}

impl Items {
    /// A run is gone, and so are its items.
    pub(super) fn forget(&mut self, run: RunNo) {
        for key in self.of.remove(&run).unwrap_or_default().keys {
            self.runs.remove(&key);
        }
    }

    fn put(&mut self, run: RunNo, new: &Enqueue, join: &Join) {
        let key = key_of(new, join);
        self.runs.insert(key.clone(), run);
        let of = self.of.entry(run).or_default();
        of.keys.push(key);
        of.items.push(new.new.input.clone());
    }

    /// The list that a run which gathers would be given now.
    pub(super) fn list(&self, run: RunNo) -> Option<Payload> {
        let items = &self.of.get(&run).filter(|of| !of.items.is_empty())?.items;
        let items: Vec<&[u8]> = items.iter().map(|item| &item.bytes()[..]).collect();
        Some(Payload::json([b"[".as_slice(), &items.join(&b','), b"]"].concat()))
    }
}

fn key_of(new: &Enqueue, join: &Join) -> ItemKey {
    (new.queue.clone(), new.new.key.tenant.clone(), join.item)
}

impl House {
    /// The run that has an item, since now or before, and whether it became ready; `None` if the item has to be the first of
    /// another.
    pub(super) fn join(&mut self, new: &Enqueue, once: Once, join: &Join, now: Timestamp) -> Option<(Written, bool)> {
        let joined = |house: &Self, no: RunNo| Some(Written::Joined(Box::new(house.runs.get(&no)?.key.clone())));
        if let Some(no) = self.lines.items.runs.get(&key_of(new, join)) {
            return Some((joined(self, *no)?, false));
        }
        let no = self.lines.placed(new, once)?;
        let same = self.runs.get(&no).is_some_and(|run| run.definition == new.new.definition);
        let line = self.lines.runs.get_mut(&no)?;
        let takes = line.gathers.filter(|gathers| !line.admitted && same && gathers.takes(new, join));
        let Some(mut gathers) = takes else {
            line.once = None;
            if let Some(mut gathers) = line.gathers.filter(|_| !line.admitted) {
                gathers.close(now);
                line.gather(gathers);
            }
            return None;
        };
        gathers.add(new, join, now);
        line.gather(gathers);
        self.lines.items.put(no, new, join);
        Some((joined(self, no)?, !gathers.open))
    }

    /// A run that was created begins to gather, if it is to.
    pub(super) fn gather(&mut self, no: RunNo, new: &Enqueue, now: Timestamp) {
        let (Some((_, join)), Some(line)) = (item_of(new), self.lines.runs.get_mut(&no)) else { return };
        line.gather(Gathering::begin(new, &join, now));
        self.lines.items.put(no, new, &join);
    }

    /// A run gathers no more: it gets the list of its items.
    pub(super) fn give_list(&mut self, no: RunNo) {
        if let (Some(list), Some(run)) = (self.lines.items.list(no), self.runs.get_mut(&no)) {
            run.input = list;
        }
        if let Some(of) = self.lines.items.of.get_mut(&no) {
            of.items = Vec::new();
        }
    }
}
