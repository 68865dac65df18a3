//! What a program that defines and runs workflows needs: `use fastn::prelude::*`.

pub use fastn_connectors::{Connector, Registry, typed};
pub use fastn_core::{
    Backoff, BoxError, Durability, Error, ErrorKind, Failure, FailureKind, Op, Outcome, Payload, PlanFaults, Retry,
    RunId, StepCx, StepError, TenantId, Timestamp, Version, Workflow,
};
pub use fastn_runtime::{Engine, RunEvent, RunHandle};
pub use fastn_store::{RunQuery, RunStatus};
pub use fastn_workflow::{Flow, Graph, Out, Work, call, days, hours, millis, minutes, secs, step, workflow};
