//! The items of an `each` that is being worked on.

use std::collections::VecDeque;

use fastn_core::{ContentType, Failure, FailureKind, Payload, Settled, Tolerance};

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
    /// How many items may fail; none if what they give stands in the list as it is.
    tolerated: Option<u32>,
    /// How many have failed.
    failed: u32,
}

#[derive(Clone, Debug)]
enum Item {
    Open(ScopeId),
    Done(Payload),
    /// As it stands in the list.
    Failed(Payload),
}

impl Items {
    pub(super) fn new(list: List, tolerance: Tolerance) -> Self {
        let tolerated = (tolerance != Tolerance::None).then(|| tolerance.of(list.len));
        Self { list, joined: vec![b'['], base: 0, begun: VecDeque::new(), open: 0, tolerated, failed: 0 }
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
            Item::Done(_) | Item::Failed(_) => None,
        }
    }

    /// The scopes of those in work.
    pub(super) fn open_scopes(&self) -> impl Iterator<Item = ScopeId> + '_ {
        self.begun.iter().filter_map(|item| if let Item::Open(scope) = item { Some(*scope) } else { None })
    }

    /// One more of them has failed. Whether too many have.
    pub(super) fn one_fails(&mut self) -> bool {
        self.failed = self.failed.saturating_add(1);
        self.failed > self.tolerated.unwrap_or(0)
    }

    /// How many have failed, and how many may.
    pub(super) fn failures(&self) -> (u32, u32) {
        (self.failed, self.tolerated.unwrap_or(0))
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
        self.put(item, Item::Done(result));
        Ok(())
    }

    /// An item has failed, and nothing of it is left.
    pub(super) fn give_up(&mut self, item: u32, failure: &Failure) -> fastn_core::Result<()> {
        let failure = Payload::encode(&Settled::<()>::Error(failure.clone()))?;
        self.put(item, Item::Failed(failure));
        Ok(())
    }

    fn put(&mut self, item: u32, result: Item) {
        let place = item.checked_sub(self.base).and_then(|i| self.begun.get_mut(i as usize));
        if let Some(place @ Item::Open(_)) = place {
            *place = result;
            self.open -= 1;
        }
        while let Some(result @ (Item::Done(_) | Item::Failed(_))) = self.begun.front() {
            if self.base > 0 {
                self.joined.push(b',');
            }
            match result {
                Item::Done(value) if self.tolerated.is_some() => {
                    // As [`Settled::Ok`] is written.
                    self.joined.extend_from_slice(b"{\"ok\":");
                    self.joined.extend_from_slice(value.bytes());
                    self.joined.push(b'}');
                }
                Item::Done(value) | Item::Failed(value) => self.joined.extend_from_slice(value.bytes()),
                Item::Open(_) => {}
            }
            self.base += 1;
            self.begun.pop_front();
        }
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
