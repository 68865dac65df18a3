//! What runs need of their engine.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result};
use fastn_store::{Lease, Store};

use super::alarms::Alarms;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::journal::Journal;

pub(super) struct Services {
    pub(super) keeper: Keeper,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) chance: Chance,
    pub(super) alarms: Alarms,
    pub(super) limits: Limits,
}

/// Where runs are kept.
pub(super) enum Keeper {
    /// In a store, through the journal.
    Durable { store: Arc<dyn Store>, lease: Lease, journal: Arc<Journal>, close_store: bool },
    /// Nowhere: a run lives as long as its process. Numbers are given here.
    Ephemeral { next: AtomicU64 },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The largest value a step may take or give, in bytes.
    pub(super) payload: usize,
    /// How long attempts may go on after the engine was told to stop, or a step that listens after it was cancelled.
    pub(super) grace: Duration,
    /// A run that waits longer than this leaves memory.
    pub(super) park_after: Duration,
    /// A run leaves memory after every turn.
    pub(super) suspends: bool,
}

impl Services {
    /// The store, if there is one.
    pub(super) fn store(&self) -> Result<&Arc<dyn Store>> {
        match &self.keeper {
            Keeper::Durable { store, .. } => Ok(store),
            Keeper::Ephemeral { .. } => {
                Err(Error::new(ErrorKind::Unsupported, "read runs").caused_by("an ephemeral engine keeps none"))
            }
        }
    }
}
