//! Connectors made of typed functions.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use fastn_core::{BoxFuture, Error, ErrorKind, Op, Payload, Result, StepCx, StepError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Action, Call, Connector, Description};

/// A connector of this name, to be given its actions. See the [crate's example](crate).
pub fn typed(name: impl Into<Cow<'static, str>>) -> TypedBuilder {
    TypedBuilder { description: Description::new(name), handlers: HashMap::new(), faults: Vec::new() }
}

/// An action's function with its types erased.
type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, Result<Payload, StepError>> + Send + Sync>;

/// A connector in the making: see [`typed`].
#[must_use = "a connector comes out of build()"]
pub struct TypedBuilder {
    description: Description,
    handlers: HashMap<Cow<'static, str>, Handler>,
    /// Collected, so that `build` tells them all and the calls before it chain.
    faults: Vec<String>,
}

impl TypedBuilder {
    /// What the connector is for, one line.
    pub fn summary(mut self, summary: impl Into<Cow<'static, str>>) -> Self {
        self.description.summary = summary.into();
        self
    }

    /// Adds the action `op`, done by `handler`.
    pub fn op<I, O, F, Fut>(self, op: Op<I, O>, handler: F) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
        F: Fn(StepCx, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, StepError>> + Send + 'static,
    {
        self.op_with(op, |action| action, handler)
    }

    /// Adds the action `op`, done by `handler` and described by `describe`, which gets the bare description:
    /// `|action| action.summary("Posts a message").idempotent()`.
    pub fn op_with<I, O, F, Fut>(mut self, op: Op<I, O>, describe: impl FnOnce(Action) -> Action, handler: F) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
        F: Fn(StepCx, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, StepError>> + Send + 'static,
    {
        let name = op.action();
        if name.connector != self.description.name {
            self.faults.push(format!("{name} is not an action of {}", self.description.name));
        }
        let mut action = describe(Action::new(name.action.clone()));
        action.name = name.action.clone();
        self.description.actions.push(action);
        let handler = Arc::new(handler);
        let erased: Handler = Arc::new(move |call: Call| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let input = call.decode::<I>()?;
                let output = handler(call.cx.clone(), input).await?;
                call.encode(&output)
            })
        });
        self.handlers.insert(name.action, erased);
        self
    }

    /// The connector.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with every fault: an op that belongs to another connector, two ops of one name, a name
    /// that is none.
    pub fn build(mut self) -> Result<Typed> {
        self.faults.extend(self.description.faults());
        if self.faults.is_empty() {
            return Ok(Typed { description: self.description, handlers: self.handlers });
        }
        Err(Error::new(ErrorKind::Invalid, "build connector")
            .with("connector", &self.description.name)
            .with("faults", self.faults.join("; ")))
    }
}

impl fmt::Debug for TypedBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypedBuilder({})", self.description.name)
    }
}

/// A connector made by [`typed`].
pub struct Typed {
    description: Description,
    handlers: HashMap<Cow<'static, str>, Handler>,
}

#[async_trait]
impl Connector for Typed {
    fn describe(&self) -> &Description {
        &self.description
    }

    async fn execute(&self, call: Call) -> Result<Payload, StepError> {
        match self.handlers.get(&call.action.action) {
            Some(handler) => handler(call).await,
            None => Err(call.unknown_action()),
        }
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Typed({})", self.description.name)
    }
}
