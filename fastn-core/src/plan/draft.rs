//! An unchecked description of a workflow, as builders and documents write it.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::WorkIx;
use crate::{ActionRef, ChildRef, FailureKind, Join, Payload, Retry, SignalRef, StepPolicy, Tolerance, Version};

/// A workflow that nobody has checked yet. [`Draft::check`] is the only way to a [`Plan`](super::Plan).
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The name of the workflow.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// How long a run may take, from its start.
    pub deadline: Option<Duration>,
    /// The tags without which no executor takes its runs.
    pub requires: Vec<String>,
    /// Its nodes.
    pub root: DraftScope,
}

/// Nodes that see each other, with one input and one output: a whole workflow, an arm of a `when`, the body of an `each`.
#[derive(Clone, Debug, Default)]
pub struct DraftScope {
    /// The nodes, in any order.
    pub nodes: Vec<DraftNode>,
    /// What the scope gives. `None` is a fault: a scope that gives nothing says so with a constant.
    pub output: Option<DraftSource>,
    /// The type of the scope's input, where it is known.
    pub input_type: Option<Cow<'static, str>>,
    /// The type of the scope's output, where it is known.
    pub output_type: Option<Cow<'static, str>>,
}

/// A node of a draft.
#[derive(Clone, Debug)]
pub struct DraftNode {
    /// Its durable name.
    pub name: String,
    /// What it does.
    pub kind: DraftKind,
    /// Where its inputs come from, in order.
    pub inputs: Vec<DraftSource>,
    /// Nodes that must be done first although nothing is taken from them.
    pub after: Vec<String>,
    /// How its work is done.
    pub policy: StepPolicy,
    /// The types it takes, where they are known: as many as it has inputs, or a fault.
    pub input_types: Option<Vec<Cow<'static, str>>>,
    /// The type it gives, where it is known.
    pub output_type: Option<Cow<'static, str>>,
    /// The functions behind it.
    pub work: Option<WorkIx>,
    /// What its functions are, where that is a text, such as an expression or the name of a task: another text makes another
    /// plan.
    pub code: Option<String>,
    /// Where an editor shows it. No part of the plan's identity.
    pub position: Option<Position>,
}

impl DraftNode {
    /// A node of this name and kind, with no inputs and the default policy.
    pub fn new(name: impl Into<String>, kind: DraftKind) -> Self {
        Self {
            name: name.into(),
            kind,
            inputs: Vec::new(),
            after: Vec::new(),
            policy: StepPolicy::default(),
            input_types: None,
            output_type: None,
            work: None,
            code: None,
            position: None,
        }
    }
}

/// What a node of a draft does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DraftKind {
    /// Calls the host's function.
    Step,
    /// Calls a connector's action.
    Call(ActionRef),
    /// Chooses one of its arms, each with its label; the arm's scope gets the node's input.
    When(Vec<(String, DraftScope)>),
    /// Runs its body for every item of the list that is its input, at most so many at a time.
    Each {
        /// What is done for an item.
        body: DraftScope,
        /// How many items are worked on at a time; 0 is a fault.
        concurrency: u32,
        /// How many of them may fail; more than 100 in a hundred are a fault.
        tolerance: Tolerance,
    },
    /// Runs its body again and again, as long as its function says so of the value: the body takes the value and gives the
    /// next one, the first is the node's input, the last its output.
    Repeat {
        /// What is done each time.
        body: DraftScope,
        /// How often at most: to go on beyond that is a failure; 0 is a fault.
        most: u32,
    },
    /// Passes its input on after this time.
    Sleep(Duration),
    /// Waits for a signal once its inputs are there, and gives its value.
    Wait(SignalRef),
    /// Runs another workflow with its input.
    Run(ChildRef),
    /// Does its body with its input. If that fails for good, what was done of it is undone, and then it is done again if the
    /// node's retry policy says so; after that the first of the handlers that takes the failure gives the value instead. The
    /// node's function is its `finally`.
    Try {
        /// What is tried.
        body: DraftScope,
        /// What takes over; one that can never be reached is a fault.
        handlers: Vec<DraftHandler>,
        /// Whether there is a `finally`, and when that is tried again. It gets the node's input.
        finally: Option<Retry>,
    },
    /// Does all of its arms at once with its input, until so many have succeeded; then the others are stopped, and what they
    /// did is undone.
    Race {
        /// The arms, each with its label; fewer than are needed are a fault.
        arms: Vec<(String, DraftScope)>,
        /// How many must succeed.
        join: Join,
    },
    /// Fails with this kind. The message is its input: a text as it stands, anything else as JSON.
    Fail(FailureKind),
}

/// What takes over when the body of a `try` failed for good.
#[derive(Clone, Debug)]
pub struct DraftHandler {
    /// Its name among the handlers of the node.
    pub label: String,
    /// The kinds of failures that it takes; all, if it names none.
    pub kinds: Vec<FailureKind>,
    /// What is done. Its input is a list of two: the failure, and the node's input.
    pub scope: DraftScope,
}

/// Where a value of a draft comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftSource {
    /// The input of the scope.
    Input,
    /// The output of the node of this name in the same scope.
    Node(String),
    /// Always this value.
    Constant(Payload),
}

/// Where an editor shows a node, in its own units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// To the right.
    pub x: f64,
    /// Downwards.
    pub y: f64,
}
