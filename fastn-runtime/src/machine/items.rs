//! The items of an `each` that is being worked on.

use std::collections::VecDeque;

use fastn_core::{ContentType, Failure, FailureKind, Payload};

use super::list::List;
use super::slot::ScopeId;

/// Items in work and results so far. Memory is bounded by the items in work and by the results themselves: finished
/// results at the front are joined to the output's text at once.
#[derive(Clone, Debug)]
pub(super) struct Items {
    list: List,
    /// The output as far as it is complete: `[` and results with commas between.
    joined: Vec<u8>,
    /// The number of the first item that is not joined.
    base: u32,
    /// The items from `base` on that have been begun.
    begun: VecDeque<Item>,
    /// How many of them are in work.
    pub(super) open: u32,
}

#[derive(Clone, Debug)]
enum Item {
    Open(ScopeId),
    Done(Payload),
}

impl Items {
    pub(super) fn new(list: List) -> Self {
        Self { list, joined: vec![b'['], base: 0, begun: VecDeque::new(), open: 0 }
    }

    /// How many items have been begun.
    pub(super) fn begun(&self) -> u32 {
        self.base + u32::try_from(self.begun.len()).unwrap_or(u32::MAX)
    }

    /// The next item to begin.
    pub(super) fn next(&mut self) -> Option<Payload> {
        self.list.next()
    }

    /// That item is in work in this scope.
    pub(super) fn begin(&mut self, scope: ScopeId) {
        self.begun.push_back(Item::Open(scope));
        self.open += 1;
    }

    /// The scope of an item that is in work.
    pub(super) fn scope(&self, item: u32) -> Option<ScopeId> {
        match self.begun.get(item.checked_sub(self.base)? as usize)? {
            Item::Open(scope) => Some(*scope),
            Item::Done(_) => None,
        }
    }

    /// Takes an item's result.
    ///
    /// # Errors
    /// A permanent failure if it is not JSON and so cannot stand in a list.
    pub(super) fn finish(&mut self, item: u32, result: Payload) -> Result<(), Failure> {
        if *result.content() != ContentType::Json {
            let what = format!("item {item} gave {}, which cannot stand in a list", result.content().as_str());
            return Err(Failure::new(FailureKind::INVALID, what).permanent());
        }
        let place = item.checked_sub(self.base).and_then(|i| self.begun.get_mut(i as usize));
        if let Some(place @ Item::Open(_)) = place {
            *place = Item::Done(result);
            self.open -= 1;
        }
        while let Some(Item::Done(result)) = self.begun.front() {
            if self.base > 0 {
                self.joined.push(b',');
            }
            self.joined.extend_from_slice(result.bytes());
            self.base += 1;
            self.begun.pop_front();
        }
        Ok(())
    }

    /// Whether every item has its result.
    pub(super) const fn is_complete(&self) -> bool {
        self.base == self.list.len
    }

    /// The list of results.
    pub(super) fn into_output(mut self) -> Payload {
        self.joined.push(b']');
        Payload::json(self.joined)
    }
}
