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

/// What a step returns when it is done: a `Result` whose error can be recorded.
#[diagnostic::on_unimplemented(
    message = "a step must return `Result<T, E>`, and this one gives `{Self}`",
    label = "this function does not give a `Result` with an error that can be recorded",
    note = "`E` may be any `std::error::Error + Send + Sync + 'static`, or `StepError`"
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

#[diagnostic::do_not_recommend]
impl<T: Value, E: Into<StepError>> StepResult for Result<T, E> {
    type Value = T;

    fn into_result(self) -> Result<T, StepError> {
        self.map_err(Into::into)
    }
}

/// A future. It exists to say in our words that something is none.
#[diagnostic::on_unimplemented(
    message = "a step must be `async`, and this one returns `{Self}` at once",
    label = "this function is not `async`",
    note = "write `async fn`, or a closure that gives an `async move` block"
)]
pub trait Async: Future {}

#[diagnostic::do_not_recommend]
impl<F: Future> Async for F {}

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
    F::Output: StepResult,
{
    type Value = <F::Output as StepResult>::Value;

    async fn finish(self) -> Result<Self::Value, StepError> {
        self.await.into_result()
    }
}
