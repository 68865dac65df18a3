//! How far loops are.

use std::collections::BTreeMap;

use fastn_core::Payload;

use super::slot::Slot;

/// The loops under way.
pub(super) type Rounds = BTreeMap<Slot, Round>;

/// How far a loop is.
#[derive(Clone, Debug)]
pub(super) struct Round {
    /// How often its body was done.
    pub(super) done: u32,
    /// What it gave last, or what the node was given.
    pub(super) value: Payload,
}
