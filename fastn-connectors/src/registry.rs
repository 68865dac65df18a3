//! The connectors of one engine.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use fastn_core::{ActionRef, Error, ErrorKind, Payload, Result, StepCx, StepError};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::{Call, Connector, Description};

/// The connectors of one engine, by name. A value: two engines of a process share nothing. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Registry {
    connectors: Arc<BTreeMap<String, Arc<dyn Connector>>>,
}

impl Registry {
    /// A registry without connectors.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more connector.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if there is one of this name; [`ErrorKind::Invalid`] with every fault of its
    /// description, such as two actions of one name.
    pub fn with(self, connector: impl Connector) -> Result<Self> {
        self.with_shared(Arc::new(connector))
    }

    /// The same with one more connector, which others may hold too.
    ///
    /// # Errors
    /// Those of [`Registry::with`].
    pub fn with_shared(mut self, connector: Arc<dyn Connector>) -> Result<Self> {
        let description = connector.describe();
        let name = description.name.to_string();
        let faults = description.faults();
        if !faults.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "register connector")
                .with("connector", name)
                .with("faults", faults.join("; ")));
        }
        if self.connectors.contains_key(&name) {
            return Err(Error::new(ErrorKind::AlreadyExists, "register connector").with("connector", name));
        }
        Arc::make_mut(&mut self.connectors).insert(name, connector);
        Ok(self)
    }

    /// The same connectors, each replaced by what `wrap` makes of it: something that counts its calls, records or repeats
    /// them.
    ///
    /// # Errors
    /// Those of [`Registry::with`], if what wraps a connector says something else of itself.
    pub fn wrapped(&self, wrap: impl Fn(Arc<dyn Connector>) -> Arc<dyn Connector>) -> Result<Self> {
        let mut connectors = self.connectors.values().cloned();
        connectors.try_fold(Self::new(), |registry, connector| registry.with_shared(wrap(connector)))
    }

    /// What the connectors say about themselves, by name.
    pub fn descriptions(&self) -> impl Iterator<Item = &Description> {
        self.connectors.values().map(|connector| connector.describe())
    }

    /// Whether there is such an action.
    pub fn has(&self, action: &ActionRef) -> bool {
        self.connectors
            .get(&*action.connector)
            .is_some_and(|connector| connector.describe().actions.iter().any(|a| a.name == action.action))
    }

    /// Checks that every one of these actions exists: what an engine does before it accepts a plan.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], which names every action that is missing, each with what there is in its place.
    pub fn check<'a>(&self, actions: impl Iterator<Item = &'a ActionRef>) -> Result<()> {
        let mut missing: Vec<&ActionRef> = actions.filter(|action| !self.has(action)).collect();
        missing.sort();
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<String> =
            missing.into_iter().map(|action| format!("{action} ({})", self.instead(action))).collect();
        Err(Error::new(ErrorKind::NotFound, "check actions").with("missing", missing.join("; ")))
    }

    /// What there is in place of a missing action: its connector's actions, or else the connectors.
    fn instead(&self, action: &ActionRef) -> String {
        match self.connectors.get(&*action.connector) {
            Some(connector) => {
                let names = connector.describe().actions.iter().map(|a| a.name.as_ref());
                format!("{} has {}", action.connector, list(names))
            }
            None => format!("the connectors are {}", list(self.connectors.keys().map(String::as_str))),
        }
    }

    /// Calls an action under a span `connector.call`, whose field `outcome` ends as `ok`, as the kind of the failure,
    /// or as `dropped`.
    ///
    /// # Errors
    /// Those of the action; a permanent failure of kind `unknown_action` if there is none of this name.
    ///
    /// # Cancel safety
    /// Dropping the future stops the call as far as its connector can.
    pub async fn execute(&self, action: &ActionRef, input: Payload, cx: StepCx) -> Result<Payload, StepError> {
        let info = cx.info();
        let span = tracing::info_span!(
            "connector.call",
            connector = %action.connector,
            action = %action.action,
            tenant = %info.tenant,
            run = %info.run,
            workflow = %info.workflow,
            node = %info.node,
            attempt = info.attempt.0,
            outcome = Empty,
        );
        let connector = self.connectors.get(&*action.connector).cloned();
        let call = Call::new(action.clone(), input, cx);
        let outcome = OutcomeField { span: span.clone(), recorded: false };
        let result = async move {
            match connector {
                Some(connector) => connector.execute(call).await,
                None => Err(call.unknown_action()),
            }
        }
        .instrument(span)
        .await;
        match result {
            Ok(output) => {
                outcome.record("succeeded");
                Ok(output)
            }
            Err(error) => {
                let failure = error.into_failure();
                outcome.record(failure.kind.as_str());
                Err(StepError::from_failure(failure))
            }
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.connectors.keys()).finish()
    }
}

/// Records the outcome once, also when the call is dropped on its way.
struct OutcomeField {
    span: Span,
    recorded: bool,
}

impl OutcomeField {
    fn record(mut self, outcome: &str) {
        self.recorded = true;
        self.span.record("outcome", outcome);
    }
}

impl Drop for OutcomeField {
    fn drop(&mut self) {
        if !self.recorded {
            self.span.record("outcome", "dropped");
        }
    }
}

/// Names in words.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
