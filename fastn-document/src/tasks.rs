//! The functions that documents call by name.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use fastn_core::{BoxFuture, Payload, StepCx, StepError, StepFn};
use serde_json::Value as Json;

/// The functions that documents may call, by name: those of the host, and nothing else.
///
/// ```
/// use fastn_document::Tasks;
/// use serde_json::{Value, json};
///
/// let tasks = Tasks::new().task("double", |value: Value| async move { Ok(json!(value.as_i64().unwrap_or(0) * 2)) });
/// ```
#[derive(Clone, Default)]
pub struct Tasks {
    functions: BTreeMap<String, Arc<dyn StepFn>>,
    any: bool,
}

impl Tasks {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whatever a document calls: to check and draw documents whose functions are elsewhere. A run that comes to one of them fails.
    pub fn any() -> Self {
        Self { any: true, ..Self::default() }
    }

    /// A function of one JSON value.
    #[must_use]
    pub fn task<F, Fut>(self, name: impl Into<String>, function: F) -> Self
    where
        F: Fn(Json) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Json, StepError>> + Send + 'static,
    {
        let function = Arc::new(function);
        self.step(name, move |_: StepCx, args: Vec<Payload>| -> BoxFuture<'static, Result<Payload, StepError>> {
            let function = function.clone();
            Box::pin(async move {
                let value = args.first().map_or(Ok(Json::Null), Payload::decode)?;
                Ok(Payload::encode(&function(value).await?)?)
            })
        })
    }

    /// A function of payloads, as many as a document gives it.
    #[must_use]
    pub fn step(mut self, name: impl Into<String>, function: impl StepFn) -> Self {
        self.functions.insert(name.into(), Arc::new(function));
        self
    }

    /// The function of this name; `None` if there is none.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<dyn StepFn>> {
        let missing = || -> Option<Arc<dyn StepFn>> {
            let what = format!("this program has no task {name:?}");
            let absent = move |_: StepCx, _: Vec<Payload>| -> BoxFuture<'static, Result<Payload, StepError>> {
                Box::pin(std::future::ready(Err(StepError::permanent(what.clone()))))
            };
            self.any.then(|| Arc::new(absent) as _)
        };
        self.functions.get(name).cloned().or_else(missing)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().map(String::as_str)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.functions.keys()).finish()
    }
}
