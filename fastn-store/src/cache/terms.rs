//! What is kept, and for how long.

use std::time::Duration;

use fastn_core::EntryKind;

/// What a host has said of it.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) ended: Duration,
    pub(super) lists: Duration,
    pub(super) histories: bool,
    pub(super) entries: Vec<(EntryKind, Duration)>,
}
