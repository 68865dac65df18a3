//! Vocabulary and contracts of fastn.
//!
//! Everything here is pure: no clock is read, no file opened, no task spawned. Time, ids and randomness come in as
//! arguments. The other crates meet here and only here:
//!
//! * a workflow is described as a [`Draft`], checked into a [`Plan`] (the only way to get one), and paired with the
//!   functions of its steps as a [`Definition`];
//! * a run of a plan is a sequence of [`Event`]s;
//! * a step's function is an [`StepFn`], which gets a [`StepCx`] and payloads and returns a [`Payload`] or a
//!   [`StepError`];
//! * whatever fails inside a run is recorded as a [`Failure`] (data), whatever fails around it is an [`Error`].

mod by;
mod child;
mod definition;
mod error;
mod event;
mod failure;
mod id;
mod join;
mod op;
mod payload;
pub mod plan;
mod policy;
mod seed;
mod signal;
mod step;
mod time;

pub use crate::by::By;
pub use crate::child::{Bond, Child, ChildRef};
pub use crate::definition::{Definition, Functions, Workflow};
pub use crate::error::{BoxError, Error, ErrorKind, Result};
pub use crate::event::{Address, Decision, Event, Outcome, Part, Record};
pub use crate::failure::{Failure, FailureKind, StepError};
pub use crate::id::{
    Attempt, EntryKind, EntryName, ExecutorId, InvalidName, NodeName, QueueKey, QueueName, RunId, Tag, TenantId,
    Version, WorkflowName,
};
pub use crate::join::{Arrived, Join, Settled, Tolerance};
pub use crate::op::{ActionRef, Op};
pub use crate::payload::{ContentType, Payload};
pub use crate::plan::{Draft, Plan, PlanFault, PlanFaults};
pub use crate::policy::{Backoff, Durability, Jitter, Retry, StepPolicy};
pub use crate::seed::{Origin, Seed};
pub use crate::signal::{Signal, SignalRef, Take};
pub use crate::step::{BoxFuture, NodePath, StepCx, StepFn, StepInfo, StepLink};
pub use crate::time::Timestamp;
