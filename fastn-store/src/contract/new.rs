//! Runs that are to be.

use std::sync::Arc;

use fastn_core::{Payload, Timestamp};

use super::{DefinitionKey, RunKey, RunNo, RunStatus};

/// A run that is to be.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its identity.
    pub key: RunKey,
    /// What it runs.
    pub definition: DefinitionKey,
    /// The plan of that definition for those who read the run without its program: see
    /// [`Plan::to_editor_json`](fastn_core::Plan::to_editor_json). Kept once for each definition.
    pub plan: Option<Arc<str>>,
    /// What it is given.
    pub input: Payload,
    /// When it was started.
    pub created_at: Timestamp,
}

/// What was found instead of created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Existing {
    /// Its number.
    pub no: RunNo,
    /// What it runs.
    pub definition: DefinitionKey,
    /// What it was given.
    pub input: Payload,
    /// How it stands.
    pub status: RunStatus,
}
