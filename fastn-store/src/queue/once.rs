//! What becomes of a run that finds its place taken.

use std::time::Duration;

use fastn_core::Timestamp;

use crate::contract::{Enqueue, WhenTaken};

/// For how long at most the run that has taken the place may be pushed back by this one; `None` if it is left alone.
pub(crate) fn push_back(new: &Enqueue) -> Option<Duration> {
    match new.once.as_ref()?.taken {
        WhenTaken::PushBack(most) => Some(most),
        WhenTaken::Stay | WhenTaken::Join(_) => None,
    }
}

/// Until when a run waits that is pushed back now, and was enqueued then.
pub(crate) fn pushed_to(enqueued_at: Timestamp, now: Timestamp, delay: Duration, most: Duration) -> Timestamp {
    now.plus(delay).min(enqueued_at.plus(most))
}
