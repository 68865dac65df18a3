//! What becomes of items that are to be one run.

use fastn_core::{ContentType, Error, ErrorKind, Result, Timestamp};

use super::rank::rank;
use crate::contract::{Enqueue, Join, Once, WhenTaken};

/// The place of an item, and how it is to be gathered; `None` if this is a run of its own.
pub(crate) fn item_of(new: &Enqueue) -> Option<(Once, Join)> {
    match new.once {
        Some(once @ Once { taken: WhenTaken::Join(join), .. }) => Some((once, join)),
        _ => None,
    }
}

/// Makes sure that an item can be a part of a list: what is none would spoil the others.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) if it is not JSON.
pub(crate) fn check_item(new: &Enqueue) -> Result<()> {
    if item_of(new).is_none() {
        return Ok(());
    }
    let wrong = || Error::new(ErrorKind::Invalid, "gather item").with("queue", &new.queue).with("run", new.new.key.run);
    let input = &new.new.input;
    if *input.content() != ContentType::Json {
        return Err(wrong().with("content", input.content().as_str()).caused_by("a list of items is JSON"));
    }
    check_listed(input.bytes()).map_err(|why| wrong().caused_by(why))
}

/// Whether this text is one value as whoever takes the list will read it: one level deeper, with numbers and texts that there
/// are.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_listed(item: &[u8]) -> std::result::Result<(), String> {
    let list = [b"[", item, b"]"].concat();
    match serde_json::from_slice::<Vec<serde_json::Value>>(&list) {
        Ok(items) if items.len() == 1 => Ok(()),
        Ok(_) => Err("it is not one value".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Where a run stands that gathers items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gathering {
    pub(crate) items: u64,
    /// The size of their list as JSON.
    pub(crate) bytes: u64,
    pub(crate) cost: u32,
    pub(crate) ready_at: Timestamp,
    pub(crate) rank: i64,
    /// Whether more can go into it.
    pub(crate) open: bool,
}

impl Gathering {
    /// A run whose first item this is.
    pub(crate) fn begin(new: &Enqueue, join: &Join, now: Timestamp) -> Self {
        let ready_at = now.plus(new.delay);
        let rank = rank(ready_at, new.priority, new.ageing);
        let mut gathering = Self { items: 0, bytes: 1, cost: 0, ready_at, rank, open: true };
        gathering.add(new, join, now);
        gathering
    }

    /// Whether there is room for an item.
    pub(crate) fn takes(&self, new: &Enqueue, join: &Join) -> bool {
        self.open && self.items < u64::from(join.most) && self.bytes.saturating_add(size_of(new)) <= join.bytes
    }

    /// Takes an item in.
    pub(crate) fn add(&mut self, new: &Enqueue, join: &Join, now: Timestamp) {
        let advance = self.advance().max(rank(Timestamp::EPOCH, new.priority, new.ageing).saturating_neg());
        self.rank = self.ready_at.as_micros().saturating_sub(advance);
        self.items = self.items.saturating_add(1);
        self.bytes = self.bytes.saturating_add(size_of(new));
        self.cost = self.cost.saturating_add(new.cost);
        if self.items >= u64::from(join.most) || self.bytes >= join.bytes {
            self.close(now);
        }
    }

    /// Nothing more goes into it, so there is nothing to wait for.
    pub(crate) fn close(&mut self, now: Timestamp) {
        let advance = self.advance();
        self.open = false;
        self.ready_at = self.ready_at.min(now);
        self.rank = self.ready_at.as_micros().saturating_sub(advance);
    }

    /// How much earlier it goes than by when it is ready.
    fn advance(&self) -> i64 {
        self.ready_at.as_micros().saturating_sub(self.rank)
    }
}

/// What an item adds to a list: itself and a comma, or the second bracket.
fn size_of(new: &Enqueue) -> u64 {
    u64::try_from(new.new.input.len()).unwrap_or(u64::MAX).saturating_add(1)
}
