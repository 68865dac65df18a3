//! The contract between a connector and those who call it.

use std::borrow::Cow;

use async_trait::async_trait;
use fastn_core::{ActionRef, Failure, FailureKind, Payload, StepCx, StepError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Description;

/// Something with actions that flows can call.
///
/// # Contract
/// [`describe`](Connector::describe) gives the same description every time. [`execute`](Connector::execute) may be
/// called many times at once, and again with the same input after a crash or a failure: each time the call's
/// [`StepInfo::idempotency_key`](fastn_core::StepInfo::idempotency_key) is the same. Nothing is retried inside, since
/// the engine retries by the step's policy and remembers it. The future may be dropped at any await point and must not
/// leave work behind.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// What it is called and what it can do.
    fn describe(&self) -> &Description;

    /// Does what the call asks for.
    ///
    /// # Errors
    /// Whatever went wrong; an error that no retry can mend is permanent.
    async fn execute(&self, call: Call) -> Result<Payload, StepError>;
}

/// One call of an action.
#[derive(Debug)]
#[non_exhaustive]
pub struct Call {
    /// The action.
    pub action: ActionRef,
    /// Its input.
    pub input: Payload,
    /// The step that calls.
    pub cx: StepCx,
}

impl Call {
    /// A call of `action` with `input` in the name of the step `cx`.
    pub fn new(action: ActionRef, input: Payload, cx: StepCx) -> Self {
        Self { action, input, cx }
    }

    /// The input as an `I`.
    ///
    /// # Errors
    /// A permanent failure of kind [`FailureKind::INVALID`] that names the action and the type: the same input will
    /// not decode next time either.
    pub fn decode<I: DeserializeOwned>(&self) -> Result<I, StepError> {
        self.input.decode().map_err(|error| invalid(&self.action, "input", std::any::type_name::<I>(), &error))
    }

    /// The output of this call.
    ///
    /// # Errors
    /// A permanent failure of kind [`FailureKind::INVALID`] if the value cannot be written as JSON.
    pub fn encode<O: Serialize>(&self, output: &O) -> Result<Payload, StepError> {
        Payload::encode(output).map_err(|error| invalid(&self.action, "output", std::any::type_name::<O>(), &error))
    }

    /// What to return for an action the connector does not have.
    pub fn unknown_action(&self) -> StepError {
        permanent("unknown_action", format!("there is no action {}", self.action))
    }
}

fn invalid(action: &ActionRef, what: &str, name: &str, error: &fastn_core::Error) -> StepError {
    let mut failure = Failure::new(FailureKind::INVALID, format!("{action}: the {what} is not a {name}")).permanent();
    failure.chain = error.chain();
    StepError::from_failure(failure)
}

/// A failure that no retry can mend.
pub(crate) fn permanent(kind: impl Into<Cow<'static, str>>, message: impl Into<String>) -> StepError {
    StepError::from_failure(Failure::new(FailureKind::new(kind), message).permanent())
}

/// A failure that may be gone next time.
#[cfg(any(feature = "http", all(feature = "process", unix)))]
pub(crate) fn transient(kind: impl Into<Cow<'static, str>>, message: impl Into<String>) -> StepError {
    StepError::from_failure(Failure::new(FailureKind::new(kind), message))
}
