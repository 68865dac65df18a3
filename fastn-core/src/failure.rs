//! What goes wrong inside a run: data, since another build will read it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::error::{BoxError, chain_of};

/// What kind of failure it was: what retry policies and `on_error` routes branch on.
///
/// The constants are fastn's own; a step may use any other word of its author's (see [`StepError::of_kind`]).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(transparent)]
#[cbor(transparent)]
pub struct FailureKind(#[n(0)] Cow<'static, str>);

impl FailureKind {
    /// The step returned an error.
    pub const ERROR: Self = Self(Cow::Borrowed("error"));
    /// The step panicked.
    pub const PANIC: Self = Self(Cow::Borrowed("panic"));
    /// A deadline passed.
    pub const TIMEOUT: Self = Self(Cow::Borrowed("timeout"));
    /// The step was cancelled.
    pub const CANCELLED: Self = Self(Cow::Borrowed("cancelled"));
    /// A value could not be read or written as the type it should have.
    pub const INVALID: Self = Self(Cow::Borrowed("invalid"));
    /// A value was larger than the engine allows.
    pub const TOO_LARGE: Self = Self(Cow::Borrowed("too_large"));
    /// The process died during an at-most-once step: whether its effect took place is not known.
    pub const OUTCOME_UNKNOWN: Self = Self(Cow::Borrowed("outcome_unknown"));
    /// The run's executors died over it, again and again: it was parked.
    pub const POISON: Self = Self(Cow::Borrowed("poison"));
    /// It was repeated as often as it may be, and was not done.
    pub const EXHAUSTED: Self = Self(Cow::Borrowed("exhausted"));
    /// Several things failed of which so many had to succeed; their own failures are in the chain.
    pub const AGGREGATE: Self = Self(Cow::Borrowed("aggregate"));
    /// An undo failed for good, or a `finally` of what does not end well.
    pub const COMPENSATION: Self = Self(Cow::Borrowed("compensation"));

    /// A kind of the author's own.
    pub fn new(kind: impl Into<Cow<'static, str>>) -> Self {
        Self(kind.into())
    }

    /// The kind as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl From<&'static str> for FailureKind {
    fn from(kind: &'static str) -> Self {
        Self::new(kind)
    }
}

/// A failure as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Failure {
    /// What kind it was.
    #[n(0)]
    pub kind: FailureKind,
    /// What it says, one line for people.
    #[n(1)]
    pub message: String,
    /// The messages of its causes, outermost first.
    #[n(2)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// Whether trying again makes no sense, whatever the retry policy says.
    #[n(3)]
    #[serde(default)]
    pub permanent: bool,
    /// How long the other side asked us to wait before the next try, in milliseconds.
    #[n(4)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The node that failed, as a path through its scopes.
    #[n(5)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

impl Failure {
    /// A failure with this message.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), chain: Vec::new(), permanent: false, retry_after_ms: None, node: None }
    }

    /// The same, never to be retried.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.permanent = true;
        self
    }

    /// The same, told of this node.
    #[must_use]
    pub fn at(mut self, node: impl fmt::Display) -> Self {
        self.node = Some(node.to_string());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{node}: {} ({})", self.message, self.kind),
            None => write!(f, "{} ({})", self.message, self.kind),
        }
    }
}

impl std::error::Error for Failure {}

/// What a step returns when it fails.
///
/// Any `E: std::error::Error` turns into one with `?`, to be retried as the step's policy says;
/// [`StepError::permanent`] is never retried. Like other error boxes it is not an `Error` itself, so that the
/// conversion can be open to all of them.
pub struct StepError(Failure);

impl StepError {
    /// An error to be retried by policy. Also takes texts and boxed errors.
    pub fn new(error: impl Into<BoxError>) -> Self {
        let error = error.into();
        let mut lines = chain_of(&*error).into_iter();
        let mut failure = Failure::new(FailureKind::ERROR, lines.next().unwrap_or_default());
        failure.chain = lines.collect();
        Self(failure)
    }

    /// An error that ends the step: it is not retried.
    pub fn permanent(error: impl Into<BoxError>) -> Self {
        Self(Self::new(error).0.permanent())
    }

    /// The same error as one of the author's own kind, which policies can name.
    #[must_use]
    pub fn of_kind(mut self, kind: impl Into<FailureKind>) -> Self {
        self.0.kind = kind.into();
        self
    }

    /// The same error, not to be tried again before this much time has passed (as HTTP's `Retry-After` asks).
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// An error that records exactly this failure.
    pub fn from_failure(failure: Failure) -> Self {
        Self(failure)
    }

    /// What will be recorded.
    pub fn into_failure(self) -> Failure {
        self.0
    }
}

impl fmt::Debug for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for StepError {
    fn from(error: E) -> Self {
        // A recorded failure that is passed on keeps its kind.
        match (&error as &dyn std::any::Any).downcast_ref::<Failure>() {
            Some(failure) => Self(failure.clone()),
            None => Self::new(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_becomes_a_step_error_with_its_chain() {
        fn step() -> Result<(), StepError> {
            Err(crate::Error::new(crate::ErrorKind::Unavailable, "ask the bank").caused_by("connection reset"))?
        }
        let failure = step().map_err(StepError::into_failure).unwrap_err();
        assert_eq!(failure.message, "ask the bank: unavailable");
        assert_eq!(failure.chain, ["connection reset"]);
        assert!(!failure.permanent);
    }

    #[test]
    fn a_failure_that_is_passed_on_keeps_its_kind() {
        fn step() -> Result<(), StepError> {
            Err(Failure::new("card_declined".into(), "no money").permanent())?
        }
        let failure = step().map_err(StepError::into_failure).unwrap_err();
        assert_eq!((failure.kind.as_str(), failure.permanent), ("card_declined", true));
    }
}
