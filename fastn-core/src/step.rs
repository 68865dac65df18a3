//! The contract between the engine and a step's function.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::{
    Address, Attempt, Part, Payload, Plan, Result, RunId, StepError, TenantId, Timestamp, Version, WorkflowName,
};

/// A boxed future, as contracts that are used as `dyn` return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A step's function with its types erased: payloads in, a payload out.
///
/// # Contract
/// The engine gives as many arguments as the node has inputs, in their order. For an undo there is one, the output of
/// the work it undoes; for an `on_error` function the failure comes first and the inputs follow; a `finally` gets the input of
/// what was tried. It may be called again
/// with the same arguments (at least once), each time with the same [`StepInfo::idempotency_key`]. The future may be
/// dropped at any await point, on cancellation or shutdown.
pub trait StepFn: Send + Sync + 'static {
    /// Calls the function.
    fn call(&self, cx: StepCx, args: Vec<Payload>) -> BoxFuture<'static, Result<Payload, StepError>>;
}

impl<F> StepFn for F
where
    F: Fn(StepCx, Vec<Payload>) -> BoxFuture<'static, Result<Payload, StepError>> + Send + Sync + 'static,
{
    fn call(&self, cx: StepCx, args: Vec<Payload>) -> BoxFuture<'static, Result<Payload, StepError>> {
        self(cx, args)
    }
}

/// What a running step can know about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepInfo {
    /// Whose run it is.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: WorkflowName,
    /// The version of the workflow the run started with.
    pub version: Version,
    /// The node's path through its scopes, such as `lines[3]/label`.
    pub node: NodePath,
    /// Which of the node's functions it is.
    pub part: Part,
    /// Which attempt this is; the first is 1.
    pub attempt: Attempt,
    /// When this attempt will be cut off, if ever.
    pub deadline: Option<Timestamp>,
    /// The fencing token of the lease under which this attempt is made: the greater, the later. Whoever keeps the greatest
    /// that was seen and refuses what comes with a smaller one is safe from a process that was stopped, lost its runs to
    /// another and wakes up in the middle of a step. `None` where nothing is recorded.
    pub fence: Option<u64>,
}

impl StepInfo {
    /// Of the node's work, without a deadline or a fence. For the engine, and for tests of steps.
    pub fn new(
        tenant: TenantId,
        run: RunId,
        workflow: WorkflowName,
        version: Version,
        node: impl Into<NodePath>,
        attempt: Attempt,
    ) -> Self {
        Self {
            tenant,
            run,
            workflow,
            version,
            node: node.into(),
            part: Part::Work,
            attempt,
            deadline: None,
            fence: None,
        }
    }

    /// A text that is the same for every attempt of this function of this step of this run and different for every
    /// other: what to send as `Idempotency-Key` to services that know it.
    ///
    /// The tenant is part of it, since two tenants may give their runs the same key; and so is the function, since a
    /// service that is asked to undo something must not answer that it has done it already.
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}/{}/{}", self.tenant, self.run, self.part.as_str(), self.node)
    }
}

/// The path of an instance of a node, such as `lines[3]/label`: a text that is written when somebody reads it.
#[derive(Clone)]
pub struct NodePath {
    text: OnceLock<String>,
    of: Option<(Arc<Plan>, Address)>,
}

impl NodePath {
    /// The path of this instance of a node of this plan.
    pub const fn new(plan: Arc<Plan>, at: Address) -> Self {
        Self { text: OnceLock::new(), of: Some((plan, at)) }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        self.text.get_or_init(|| self.of.as_ref().map(|(plan, at)| plan.path_at(at)).unwrap_or_default())
    }
}

impl From<String> for NodePath {
    fn from(text: String) -> Self {
        Self { text: OnceLock::from(text), of: None }
    }
}

impl Deref for NodePath {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for NodePath {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for NodePath {}

impl fmt::Display for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// The engine's side of a running step.
pub trait StepLink: Send + Sync + 'static {
    /// What the step can know about itself.
    fn info(&self) -> &StepInfo;
    /// Tells those who watch the run of progress. Not recorded.
    fn progress(&self, data: Payload);
    /// How long the attempt may go on, by the engine's clock; `None` if nothing limits it.
    fn time_left(&self) -> Option<Duration>;
    /// Whether the step should stop.
    fn is_cancelled(&self) -> bool;
    /// Completes when the step should stop.
    fn cancelled(&self) -> BoxFuture<'static, ()>;
}

/// What a step gets if its first parameter asks for it. Cloning is cheap.
#[derive(Clone)]
pub struct StepCx {
    link: Arc<dyn StepLink>,
}

impl StepCx {
    /// For the engine, and for tests of steps.
    pub fn new(link: Arc<dyn StepLink>) -> Self {
        Self { link }
    }

    /// Of a step that no engine runs, for tests: nothing limits it, nobody cancels it, and nobody hears of its progress.
    pub fn detached(info: StepInfo) -> Self {
        Self::new(Arc::new(Detached(info)))
    }

    /// What the step can know about itself.
    pub fn info(&self) -> &StepInfo {
        self.link.info()
    }

    /// Tells those who watch the run of progress. It is not recorded, and nobody need be listening.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] if the data cannot be written as JSON.
    pub fn progress<T: serde::Serialize + ?Sized>(&self, data: &T) -> Result<()> {
        self.link.progress(Payload::encode(data)?);
        Ok(())
    }

    /// How long this attempt may go on before it is cut off, by the engine's clock; `None` if nothing limits it.
    pub fn time_left(&self) -> Option<Duration> {
        self.link.time_left()
    }

    /// Whether the run was cancelled, what the step stands in is given up (its arm of a race has lost, or something beside it has
    /// failed), or its executor is shutting down.
    pub fn is_cancelled(&self) -> bool {
        self.link.is_cancelled()
    }

    /// Completes when [`is_cancelled`](Self::is_cancelled) begins to hold. Steps that do not look are dropped at their next
    /// await point.
    ///
    /// # Cancel safety
    /// Safe: dropping the future loses nothing.
    pub async fn cancelled(&self) {
        self.link.cancelled().await;
    }

    /// The engine's side, for those who wrap steps.
    pub fn link(&self) -> &Arc<dyn StepLink> {
        &self.link
    }
}

struct Detached(StepInfo);

impl StepLink for Detached {
    fn info(&self) -> &StepInfo {
        &self.0
    }

    fn progress(&self, _: Payload) {}

    fn time_left(&self) -> Option<Duration> {
        None
    }

    fn is_cancelled(&self) -> bool {
        false
    }

    fn cancelled(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

impl fmt::Debug for StepCx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_every_step_has_a_key_of_its_own() {
        let info = |tenant: &str, part, attempt| {
            let (tenant, workflow) = (TenantId::new(tenant).expect("a name"), WorkflowName::new("w").expect("a name"));
            let run = RunId::named("order-42");
            let mut info = StepInfo::new(tenant, run, workflow, Version(1), "charge".to_owned(), Attempt(attempt));
            info.part = part;
            info.idempotency_key()
        };
        let work = info("a", Part::Work, 1);
        assert_eq!(work, info("a", Part::Work, 2));
        assert_ne!(work, info("b", Part::Work, 1));
        assert_ne!(work, info("a", Part::Undo, 1));
        assert_ne!(work, info("a", Part::OnError, 1));
    }
}
