//! The queue of writes whose commits follow each other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastn_core::Error;
use tokio::sync::Notify;

use super::group::{Entry, Group, Size};
use super::ticket::{Fate, Ticket};

/// One of the ways to the store. What is queued in it becomes durable in that order.
#[derive(Debug, Default)]
pub(super) struct Lane {
    queue: Mutex<Queue>,
    /// Something was queued, or the lane was closed.
    queued: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    groups: VecDeque<Group>,
    /// What will become of the group that is being committed.
    in_hand: Option<Arc<Fate>>,
    closed: bool,
    /// Nobody takes groups until there is news.
    idle: bool,
    /// The size of the group that was last taken, from which the next will not differ much.
    last: Size,
}

impl Lane {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues what `entry` puts into a group. `None` if nothing is taken any more.
    pub(super) fn append(&self, entry: impl FnOnce(&mut Group) -> Entry) -> Option<Ticket> {
        let mut queue = self.queue();
        if queue.closed {
            return None;
        }
        if queue.groups.back().is_none_or(Group::is_full) {
            let group = Group::like(&queue.last);
            queue.groups.push_back(group);
        }
        let group = queue.groups.back_mut()?;
        let entry = entry(group);
        group.entries.push(entry);
        let ticket = Ticket { fate: group.fate.clone(), place: group.entries.len() - 1 };
        let idle = std::mem::take(&mut queue.idle);
        drop(queue);
        if idle {
            self.queued.notify_one();
        }
        Some(ticket)
    }

    /// The next group, when there is one; `None` when none is left and none will come.
    pub(super) async fn next(&self) -> Option<Group> {
        loop {
            let closed = {
                let mut queue = self.queue();
                let group = queue.groups.pop_front();
                queue.last = group.as_ref().map_or(queue.last, Group::size);
                // At once, so that there is no moment in which nobody would decide its fate.
                queue.in_hand = group.as_ref().map(|group| group.fate.clone());
                queue.idle = group.is_none();
                if group.is_some() {
                    return group;
                }
                queue.closed
            };
            if closed {
                return None;
            }
            self.queued.notified().await;
        }
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.queue().closed = true;
        self.queued.notify_one();
    }

    /// Takes nothing more, and gives up what is queued or was being committed.
    pub(super) fn abandon(&self, error: &Arc<Error>) {
        let (in_hand, groups) = {
            let mut queue = self.queue();
            queue.closed = true;
            (queue.in_hand.take(), std::mem::take(&mut queue.groups))
        };
        for fate in in_hand.into_iter().chain(groups.into_iter().map(|group| group.fate)) {
            fate.decide(Err(error.clone()));
        }
        self.queued.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use fastn_core::ErrorKind;
    use fastn_store::{RunNo, Then, Turn};

    use super::*;

    fn turn() -> Turn {
        Turn { run: RunNo(1), first: 0, count: 1, records: bytes::Bytes::new(), then: Then::Run }
    }

    fn append(lane: &Lane, bytes: usize) -> Ticket {
        let entry = |group: &mut Group| {
            group.bytes += bytes;
            Entry::Turn { turn: turn(), end: 0 }
        };
        lane.append(entry).expect("it is open")
    }

    /// How many writes the groups have that gathered while nobody took any.
    async fn groups(writes: usize, bytes: usize) -> Vec<usize> {
        let lane = Lane::default();
        let _tickets: Vec<_> = (0..writes).map(|_| append(&lane, bytes)).collect();
        lane.close();
        let mut groups = Vec::new();
        while let Some(group) = lane.next().await {
            groups.push(group.entries.len());
        }
        groups
    }

    #[tokio::test]
    async fn a_group_is_bounded_by_its_writes_and_by_their_size() {
        assert_eq!(groups(3, 10).await, [3]);
        assert_eq!(groups(8_193, 10).await, [8_192, 1]);
        assert_eq!(groups(5, 8 << 20).await, [2, 2, 1], "sixteen mebibytes are enough");
    }

    #[tokio::test]
    async fn a_lane_that_was_given_up_takes_nothing_and_says_why_to_all() {
        let lane = Lane::default();
        let queued = append(&lane, 1);
        let taken = lane.next().await.expect("there is one");
        let later = append(&lane, 1);
        lane.abandon(&Arc::new(Error::new(ErrorKind::Fenced, "commit")));
        for ticket in [queued, later] {
            assert_eq!(ticket.failure().map(|error| error.kind()), Some(ErrorKind::Fenced));
        }
        drop(taken);
        assert!(lane.next().await.is_none());
        let mut asked = false;
        let closed = lane.append(|_| {
            asked = true;
            Entry::Turn { turn: turn(), end: 0 }
        });
        assert!(closed.is_none() && !asked, "nothing is asked of it any more");
    }
}
