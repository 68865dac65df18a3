//! That a run is paused, and what is held back for it.

use fastn_core::{By, Timestamp};

use super::cell::Try;
use super::slot::Slot;

/// That a run is paused.
#[derive(Clone, Debug)]
pub(super) struct Pause {
    pub(super) by: By,
    pub(super) since: Timestamp,
    /// Attempts that were under way when their executor died.
    pub(super) interrupted: Vec<(Slot, Try)>,
}
