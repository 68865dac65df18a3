//! Workflows that other workflows run, as typed constants.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::{RunId, Version, WorkflowName};

/// What a run has to do with a run that it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Bond {
    /// It waits for its end and takes its output. When it is cancelled or fails, that one is cancelled first and has undone what
    /// it did before anything else is undone.
    #[default]
    Own,
    /// It waits for its end and takes its output. When it is cancelled or fails, that one goes on.
    Leave,
    /// It starts it and takes its id.
    Detach,
}

impl Bond {
    /// It in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Leave => "leave",
            Self::Detach => "detach",
        }
    }
}

/// A workflow that a node runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChildRef {
    /// The workflow.
    pub workflow: Cow<'static, str>,
    /// Its version; the highest that is served when the run is started, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// What becomes of the two.
    #[serde(default)]
    pub bond: Bond,
}

impl ChildRef {
    /// Whether a run of this workflow and version is one of these.
    pub fn is_of(&self, workflow: &WorkflowName, version: Version) -> bool {
        self.workflow == workflow.as_str() && self.version.is_none_or(|only| only == version)
    }
}

impl fmt::Display for ChildRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.workflow)?;
        if let Some(version) = self.version {
            write!(f, " {version}")?;
        }
        match self.bond {
            Bond::Own => Ok(()),
            Bond::Leave => f.write_str(", left when cancelled"),
            Bond::Detach => f.write_str(", detached"),
        }
    }
}

/// A workflow that takes an `I` and gives an `O`, for other workflows that run it: a constant, so that a workflow may also run
/// itself.
///
/// ```
/// # use fastn_core::Child;
/// pub const SHIP: Child<String, u64> = Child::new("shipping").version(2);
/// assert_eq!(SHIP.to_string(), "shipping v2");
/// ```
pub struct Child<I, O> {
    workflow: &'static str,
    version: Option<Version>,
    bond: Bond,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> Child<I, O> {
    /// The workflow of this name, in the highest version that is served when a run of it is started.
    pub const fn new(workflow: &'static str) -> Self {
        Self { workflow, version: None, bond: Bond::Own, types: PhantomData }
    }

    /// Always this version.
    #[must_use]
    pub const fn version(self, version: u32) -> Self {
        Self { version: Some(Version(version)), ..self }
    }

    /// A run of it goes on when the run that waits for it is cancelled or fails.
    #[must_use]
    pub const fn leave(self) -> Self {
        Self { bond: Bond::Leave, ..self }
    }

    /// It is only started, and nobody waits for its end: what it gives is the id of its run.
    #[must_use]
    pub const fn detach(self) -> Child<I, RunId> {
        Child { workflow: self.workflow, version: self.version, bond: Bond::Detach, types: PhantomData }
    }

    /// What a node of a plan runs.
    pub const fn to_run(&self) -> ChildRef {
        ChildRef { workflow: Cow::Borrowed(self.workflow), version: self.version, bond: self.bond }
    }
}

impl<I, O> Clone for Child<I, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O> Copy for Child<I, O> {}

impl<I, O> fmt::Display for Child<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_run().fmt(f)
    }
}

impl<I, O> fmt::Debug for Child<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Child({self})")
    }
}
