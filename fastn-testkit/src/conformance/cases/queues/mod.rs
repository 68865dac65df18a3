//! Runs that wait for their turn.

pub(in crate::conformance) mod deaths;
mod desk;
pub(in crate::conformance) mod gather;
pub(in crate::conformance) mod limits;
pub(in crate::conformance) mod once;
pub(in crate::conformance) mod order;
pub(in crate::conformance) mod places;
pub(in crate::conformance) mod race;
pub(in crate::conformance) mod rates;

pub(super) use self::desk::{queue, waiting};
