//! What runs need of their engine.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastn_core::{Error, ErrorKind, ExecutorId, Result};
use fastn_store::Store;

use super::alarms::Alarms;
use super::tenure::Tenure;
use crate::chance::Chance;
use crate::clock::Clock;

pub(super) struct Services {
    pub(super) keeper: Keeper,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) chance: Chance,
    pub(super) alarms: Alarms,
    pub(super) limits: Limits,
}

/// Where runs are kept.
pub(super) enum Keeper {
    /// In a store.
    Durable(Box<Durable>),
    /// Nowhere: a run lives as long as its process. Numbers are given here.
    Ephemeral { next: AtomicU64, tenure: Arc<Tenure> },
}

/// A store, and how an engine uses it.
pub(super) struct Durable {
    pub(super) store: Arc<dyn Store>,
    /// What hosts look at: the same, or through a cache. Nothing may be decided by it.
    pub(super) look: Arc<dyn Store>,
    pub(super) close_store: bool,
    /// Who asks for leases.
    pub(super) executor: ExecutorId,
    /// How long a lease lasts unless it is renewed.
    pub(super) lease: Duration,
    /// How long a call is made again while the store is unavailable.
    pub(super) patience: Duration,
    /// The last one; none before the first.
    pub(super) tenure: Mutex<Option<Arc<Tenure>>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The largest value a step may take or give, in bytes.
    pub(super) payload: usize,
    /// How long attempts may go on after the engine was told to stop, or a step that listens after it was cancelled.
    pub(super) grace: Duration,
    /// A run that waits longer than this leaves memory.
    pub(super) park_after: Duration,
    /// How many executors in a row may die over a run before it is parked; 0 if it never is.
    pub(super) poison_after: u32,
    /// How long it is kept who steered runs.
    pub(super) keep_audit: Duration,
    /// A run leaves memory after every turn.
    pub(super) suspends: bool,
}

impl Services {
    /// The store and how it is used, if there is one.
    pub(super) fn durable(&self) -> Option<&Durable> {
        match &self.keeper {
            Keeper::Durable(durable) => Some(durable),
            Keeper::Ephemeral { .. } => None,
        }
    }

    /// The store, if there is one.
    pub(super) fn store(&self) -> Result<&Arc<dyn Store>> {
        self.durable().map(|durable| &durable.store).ok_or_else(none)
    }

    /// The store as hosts look at it, if there is one: what it says may be old.
    pub(super) fn look(&self) -> Result<&Arc<dyn Store>> {
        self.durable().map(|durable| &durable.look).ok_or_else(none)
    }

    /// The present tenure, if there is one.
    pub(super) fn tenure(&self) -> Option<Arc<Tenure>> {
        match &self.keeper {
            Keeper::Durable(durable) => durable.tenure().filter(|tenure| !tenure.is_over()),
            Keeper::Ephemeral { tenure, .. } => Some(tenure.clone()),
        }
    }
}

impl Durable {
    /// The last tenure, over or not.
    pub(super) fn tenure(&self) -> Option<Arc<Tenure>> {
        self.tenure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_tenure(&self, tenure: Option<Arc<Tenure>>) {
        *self.tenure.lock().unwrap_or_else(PoisonError::into_inner) = tenure;
    }
}

fn none() -> Error {
    Error::new(ErrorKind::Unsupported, "read runs").caused_by("an ephemeral engine keeps none")
}
