//! Whose turn it is, when keys take turns: weighted fair queueing by start times (Goyal, Vin and Cheng, 1996), in whole
//! numbers.
//!
//! Each key has a time of its own, which goes on by a stride with each of its turns, the smaller the heavier it is. The key
//! whose time is least has the next turn. A key that comes anew begins at the time of the turn before: it neither catches up
//! on turns that it did not want, nor waits behind those who have had theirs.

/// How far a key's time goes on with a turn, at a weight of 1.
const STRIDE: u64 = 1 << 20;

/// When a key has its next turn, by its own time and the queue's.
pub(super) fn start(pass: u64, now: u64) -> u64 {
    pass.max(now)
}

/// A key's own time after a turn.
pub(super) fn after(start: u64, weight: u32) -> u64 {
    start.saturating_add((STRIDE / u64::from(weight.max(1))).max(1))
}
