//! What a program that defines and runs workflows needs: `use fastn::prelude::*`.

pub use fastn_connectors::{Connector, Registry, typed};
pub use fastn_core::{
    Arrived, Backoff, BoxError, Child, Durability, Error, ErrorKind, Failure, FailureKind, Op, Outcome, Payload,
    PlanFaults, Retry, RunId, Settled, Signal, StepCx, StepError, TenantId, Timestamp, Tolerance, Version, Workflow,
};
pub use fastn_runtime::{Delivery, Engine, RunEvent, RunHandle};
pub use fastn_store::{RunQuery, RunStatus};
pub use fastn_workflow::{Flow, Graph, Out, Work, call, days, hours, millis, minutes, run, secs, step, wait, workflow};
