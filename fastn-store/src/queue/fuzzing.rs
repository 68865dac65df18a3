//! Doors to what queues read of what is kept, for fastn-fuzz.

use fastn_core::{QueueKey, Timestamp};

use super::admission::{Admission, Head, KeyBooks, QueueBooks, Room, Step};
use super::gather::check_listed;
use super::rules::QueueRules;

/// Which of the runs of one key, each with its cost, may go by these rules and by the books of the queue and of the key as
/// they are kept; and both books as they are written then. `None` if the books are damaged.
pub fn admitted(
    rules: &QueueRules,
    books: (&[u8], &[u8]),
    costs: &[u32],
    now: Timestamp,
) -> Option<(Vec<usize>, [Vec<u8>; 2])> {
    let queue: QueueBooks = serde_json::from_slice(books.0).ok()?;
    let mut of_key: KeyBooks = serde_json::from_slice(books.1).ok()?;
    let room = Room { limit: u64::MAX, ..Room::default() };
    let (mut admission, mut found) = (Admission::new(rules, now, room, queue), Vec::new());
    let heads = (0..).zip(costs).map(|(no, cost)| Head { no, rank: 0, cost: *cost }).collect();
    let key = QueueKey::of("key");
    admission.tell(key.clone(), heads, false, 0, of_key.clone());
    while let Step::Admit(no) = admission.next() {
        found.push(no);
    }
    if let Some((_, changed)) = admission.changed().find(|(changed, _)| **changed == key) {
        of_key = changed.clone();
    }
    let _ = (admission.again_in(None), of_key.over_at(rules));
    let written = [serde_json::to_vec(admission.books()).ok()?, serde_json::to_vec(&of_key).ok()?];
    Some((found, written))
}

/// Whether a text can be a part of a list of items.
pub fn listed(item: &[u8]) -> bool {
    check_listed(item).is_ok()
}
