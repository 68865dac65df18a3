//! What can pass between steps, and what calling a step may give.

use std::future::Future;

use fastn_core::StepError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value that can pass from step to step, and through the journal: any owned type that serde can write and read.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot pass between steps",
    label = "a value of this type cannot be written to the journal and read back",
    note = "it must own what it holds, be `Send`, and derive `serde::Serialize` and `serde::Deserialize`"
)]
pub trait Value: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Value for T {}

/// An error that can be recorded: any `std::error::Error`, or [`StepError`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded as the error of a step",
    label = "this function returns a `Result` with an error that is none",
    note = "it may be any `std::error::Error + Send + Sync + 'static`, or `StepError`, which texts can be made into with \
            `StepError::new`"
)]
pub trait Recordable {
    /// The error as it will be recorded.
    fn into_step_error(self) -> StepError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<StepError>> Recordable for E {
    fn into_step_error(self) -> StepError {
        self.into()
    }
}

/// What a step returns when it is done: a `Result`.
#[diagnostic::on_unimplemented(
    message = "a step must return `Result`, and this one returns `{Self}`",
    label = "this function does not return a `Result`",
    note = "a step that cannot fail may return `Result<T, std::convert::Infallible>`"
)]
pub trait StepResult {
    /// The value of success.
    type Value: Value;

    /// The value, or the error as it will be recorded.
    ///
    /// # Errors
    /// The step's own.
    fn into_result(self) -> Result<Self::Value, StepError>;
}

impl<T: Value, E: Recordable> StepResult for Result<T, E> {
    type Value = T;

    fn into_result(self) -> Result<T, StepError> {
        self.map_err(Recordable::into_step_error)
    }
}

/// A future. It exists to say in our words that something is none.
#[diagnostic::on_unimplemented(
    message = "a step must be `async`, and this one returns `{Self}` at once",
    label = "this function is not `async`",
    note = "write `async fn`, or a closure that gives an `async move` block"
)]
pub trait Async: Future<Output = Self::Gives> {
    /// What it gives in the end.
    type Gives;
}

#[diagnostic::do_not_recommend]
impl<F: Future> Async for F {
    type Gives = F::Output;
}

/// What calling a step gives: a `Send` future of a [`StepResult`].
pub trait StepFuture: Send + 'static {
    /// The value of success.
    type Value: Value;

    /// Waits for the step.
    fn finish(self) -> impl Future<Output = Result<Self::Value, StepError>> + Send;
}

impl<F> StepFuture for F
where
    F: Async + Send + 'static,
    F::Gives: StepResult,
{
    type Value = <F::Gives as StepResult>::Value;

    async fn finish(self) -> Result<Self::Value, StepError> {
        self.await.into_result()
    }
}
