//! Graphs that are known only at run time: nodes by name, values without types.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fastn_core::plan::{DraftKind, DraftNode, DraftScope, DraftSource, WorkIx};
use fastn_core::{
    ActionRef, BoxFuture, ChildRef, Definition, Draft, Durability, FailureKind, Payload, PlanFaults, Retry, SignalRef,
    StepCx, StepError, StepFn, StepPolicy, Version, Workflow,
};

use crate::adorned::functions;

/// A workflow whose graph is known only at run time, such as one that was read from a file.
///
/// Nodes refer to each other by name and may be added in any order. [`Graph::check`] finds what is wrong, everything at
/// once: names that are missing or taken, cycles, a missing output.
///
/// ```
/// use fastn_core::{Payload, StepCx, Version};
/// use fastn_workflow::Graph;
///
/// let first = |_: StepCx, inputs: Vec<Payload>| async move { Ok(inputs.into_iter().next().unwrap_or(Payload::null())) };
/// let mut graph = Graph::new("mosaic").version(Version(2));
/// graph.step("project", first).takes_input().retry(3);
/// graph.step("fit", first).needs(["project"]);
/// graph.step("clean up", first).after(["fit"]);
/// graph.output("fit");
/// let mosaic = graph.check()?;
/// # Ok::<(), fastn_core::PlanFaults>(())
/// ```
pub struct Graph {
    name: String,
    version: Version,
    deadline: Option<Duration>,
    requires: Vec<String>,
    nodes: Vec<GraphNode>,
    output: Option<DraftSource>,
}

impl Graph {
    /// An empty graph of this name, version 1.
    pub fn new(name: impl Into<String>) -> Self {
        let (version, requires, nodes) = (Version::default(), Vec::new(), Vec::new());
        Self { name: name.into(), version, deadline: None, requires, nodes, output: None }
    }

    /// Its version.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// How long a run may take, from its start.
    #[must_use]
    pub fn deadline(mut self, most: Duration) -> Self {
        self.deadline = Some(most);
        self
    }

    /// Its runs go on in executors only that have this tag: see [`WorkflowBuilder::requires`](crate::WorkflowBuilder::requires).
    #[must_use]
    pub fn requires(mut self, tag: impl Into<String>) -> Self {
        self.requires.push(tag.into());
        self
    }

    /// Adds a step. The handler gets the payloads of its inputs in the order in which the node was told of them.
    pub fn step<F, Fut>(&mut self, name: impl Into<String>, handler: F) -> &mut GraphNode
    where
        F: Fn(StepCx, Vec<Payload>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Payload, StepError>> + Send + 'static,
    {
        let node = self.add(DraftNode::new(name, DraftKind::Step));
        node.work = Some(boxed(handler));
        node
    }

    /// Adds a call of a connector's action. It takes exactly one input.
    pub fn call(&mut self, name: impl Into<String>, action: ActionRef) -> &mut GraphNode {
        self.add(DraftNode::new(name, DraftKind::Call(action)))
    }

    /// Adds a wait for a signal. It begins when its inputs are there.
    pub fn wait(&mut self, name: impl Into<String>, signal: SignalRef) -> &mut GraphNode {
        self.add(DraftNode::new(name, DraftKind::Wait(signal)))
    }

    /// Adds a run of another workflow. It takes exactly one input.
    pub fn run(&mut self, name: impl Into<String>, child: ChildRef) -> &mut GraphNode {
        self.add(DraftNode::new(name, DraftKind::Run(child)))
    }

    /// Adds a failure on purpose, of this kind. It takes exactly one input, which is the message.
    pub fn fail(&mut self, name: impl Into<String>, kind: impl Into<FailureKind>) -> &mut GraphNode {
        self.add(DraftNode::new(name, DraftKind::Fail(kind.into())))
    }

    /// Says which node's output is the run's output.
    pub fn output(&mut self, node: impl Into<String>) -> &mut Self {
        self.output = Some(DraftSource::Node(node.into()));
        self
    }

    /// Says that runs give nothing: their output is `null`.
    pub fn no_output(&mut self) -> &mut Self {
        self.output = Some(DraftSource::Constant(Payload::null()));
        self
    }

    /// Checks the graph.
    ///
    /// # Errors
    /// [`PlanFaults`]: every fault there is, each with the node's name.
    pub fn check(self) -> Result<Workflow<serde_json::Value, serde_json::Value>, PlanFaults> {
        let mut kept = Vec::new();
        let mut root = DraftScope { output: self.output, ..DraftScope::default() };
        for mut node in self.nodes {
            if let Some(functions) = functions(node.work, node.undo, node.on_error) {
                // More nodes than a `u32` counts are refused by the check.
                node.draft.work = u32::try_from(kept.len()).ok().map(WorkIx);
                kept.push(functions);
            }
            root.nodes.push(node.draft);
        }
        let Self { name, version, deadline, requires, .. } = self;
        let draft = Draft { name, version, deadline, requires, root };
        Ok(Workflow::assume(Definition::new(draft.check()?, kept)))
    }

    #[expect(clippy::indexing_slicing, reason = "the node was pushed the line before")]
    fn add(&mut self, draft: DraftNode) -> &mut GraphNode {
        self.nodes.push(GraphNode { draft, work: None, undo: None, on_error: None });
        let last = self.nodes.len() - 1;
        &mut self.nodes[last]
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Graph({:?} {}, {} nodes)", self.name, self.version, self.nodes.len())
    }
}

/// A node of a [`Graph`]. What is said of inputs and order adds to what was said before.
pub struct GraphNode {
    draft: DraftNode,
    work: Option<Arc<dyn StepFn>>,
    undo: Option<Arc<dyn StepFn>>,
    on_error: Option<Arc<dyn StepFn>>,
}

impl GraphNode {
    /// Its next inputs are the outputs of these nodes, in this order.
    pub fn needs<S: Into<String>>(&mut self, nodes: impl IntoIterator<Item = S>) -> &mut Self {
        self.draft.inputs.extend(nodes.into_iter().map(|node| DraftSource::Node(node.into())));
        self
    }

    /// Its next input is the run's input.
    pub fn takes_input(&mut self) -> &mut Self {
        self.draft.inputs.push(DraftSource::Input);
        self
    }

    /// Its next input is always this value.
    pub fn given(&mut self, value: Payload) -> &mut Self {
        self.draft.inputs.push(DraftSource::Constant(value));
        self
    }

    /// These nodes must be done first although nothing is taken from them.
    pub fn after<S: Into<String>>(&mut self, nodes: impl IntoIterator<Item = S>) -> &mut Self {
        self.draft.after.extend(nodes.into_iter().map(Into::into));
        self
    }

    /// When it is tried again after it failed: a number of retries, or a whole [`Retry`].
    pub fn retry(&mut self, retry: impl Into<Retry>) -> &mut Self {
        self.draft.policy.retry = retry.into();
        self
    }

    /// How long one attempt may take.
    pub fn within(&mut self, most: Duration) -> &mut Self {
        self.draft.policy.within = Some(most);
        self
    }

    /// How long all attempts and the waits between them may take, from the start of the first.
    pub fn deadline(&mut self, most: Duration) -> &mut Self {
        self.draft.policy.deadline = Some(most);
        self
    }

    /// What the journal promises about it.
    pub fn durability(&mut self, durability: Durability) -> &mut Self {
        self.draft.policy.durability = durability;
        self
    }

    /// What undoes it when the run fails later on. The handler gets the output of the work; it is tried again as
    /// [`StepPolicy::default_undo`] says.
    pub fn undo<F, Fut>(&mut self, handler: F) -> &mut Self
    where
        F: Fn(StepCx, Vec<Payload>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Payload, StepError>> + Send + 'static,
    {
        self.draft.policy.undo = Some(StepPolicy::default_undo());
        self.undo = Some(boxed(handler));
        self
    }

    /// What takes over when it failed for good. The handler gets the failure, then the inputs of the work.
    pub fn on_error<F, Fut>(&mut self, handler: F) -> &mut Self
    where
        F: Fn(StepCx, Vec<Payload>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Payload, StepError>> + Send + 'static,
    {
        self.draft.policy.on_error = true;
        self.on_error = Some(boxed(handler));
        self
    }
}

impl fmt::Debug for GraphNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.draft.fmt(f)
    }
}

fn boxed<F, Fut>(handler: F) -> Arc<dyn StepFn>
where
    F: Fn(StepCx, Vec<Payload>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Payload, StepError>> + Send + 'static,
{
    Arc::new(move |cx: StepCx, inputs: Vec<Payload>| -> BoxFuture<'static, Result<Payload, StepError>> {
        Box::pin(handler(cx, inputs))
    })
}
