//! A panic in a host's code is a result like any other.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use fastn_core::{BoxFuture, Failure, FailureKind, StepError};

/// A future whose panic is its failure.
pub(crate) struct Caught<T>(Result<BoxFuture<'static, Result<T, StepError>>, Option<Box<Failure>>>);

impl<T> Caught<T> {
    /// The future that `call` makes; a panic of `call` itself is the future's failure.
    pub(crate) fn new(call: impl FnOnce() -> BoxFuture<'static, Result<T, StepError>>) -> Self {
        Self(catch_unwind(AssertUnwindSafe(call)).map_err(|panic| Some(Box::new(failure_of(&*panic)))))
    }
}

impl<T> Future for Caught<T> {
    type Output = Result<T, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = match &mut self.0 {
            Ok(future) => future,
            Err(failure) => {
                let again = || Failure::new(FailureKind::PANIC, "polled again after a panic");
                return Poll::Ready(Err(failure.take().map_or_else(again, |failure| *failure)));
            }
        };
        // After a panic the future is not polled again, so whatever it left half done is never seen.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map_err(StepError::into_failure),
            Err(panic) => Poll::Ready(Err(failure_of(&*panic))),
        }
    }
}

/// A future of the engine's own, whose panic is told instead of passed on.
pub(crate) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(failure_of(&*panic))),
    })
    .await
}

/// What a panic said.
pub(crate) fn failure_of(panic: &(dyn Any + Send)) -> Failure {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    Failure::new(FailureKind::PANIC, format!("panicked: {}", said.as_deref().unwrap_or("(no text)")))
}
