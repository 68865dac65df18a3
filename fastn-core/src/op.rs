//! Connector actions as typed constants.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

/// The name of a connector's action: `slack` and `post`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActionRef {
    /// The connector.
    pub connector: Cow<'static, str>,
    /// Its action.
    pub action: Cow<'static, str>,
}

impl fmt::Display for ActionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.connector, self.action)
    }
}

/// A connector's action that takes an `I` and gives an `O`: a constant beside the connector, by which flows are wired at
/// compile time.
///
/// ```
/// # use fastn_core::Op;
/// pub const POST: Op<String, u64> = Op::new("slack", "post");
/// assert_eq!(POST.to_string(), "slack.post");
/// ```
pub struct Op<I, O> {
    connector: &'static str,
    action: &'static str,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> Op<I, O> {
    /// The action `action` of the connector `connector`.
    pub const fn new(connector: &'static str, action: &'static str) -> Self {
        Self { connector, action, types: PhantomData }
    }

    /// The name of the action.
    pub const fn action(&self) -> ActionRef {
        ActionRef { connector: Cow::Borrowed(self.connector), action: Cow::Borrowed(self.action) }
    }
}

impl<I, O> Clone for Op<I, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O> Copy for Op<I, O> {}

impl<I, O> fmt::Display for Op<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.connector, self.action)
    }
}

impl<I, O> fmt::Debug for Op<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Op({self})")
    }
}
