//! A document as it was understood: what was said, and where. Other languages are read into the same.

use std::time::Duration;

use fastn_core::plan::Position;
use fastn_core::{ActionRef, ChildRef, Durability, FailureKind, Join, Retry, SignalRef, Tolerance};
use serde_json::Value as Json;

use crate::place::Span;
use crate::template::Template;

/// Something with its place.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) span: Span,
    pub(crate) it: T,
}

/// A workflow.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) name: At<String>,
    pub(crate) version: u32,
    pub(crate) deadline: Option<Duration>,
    pub(crate) requires: Vec<At<String>>,
    /// What it takes, as a JSON Schema.
    pub(crate) input: Option<Json>,
    /// What it gives, as a JSON Schema.
    pub(crate) output: Option<Json>,
    pub(crate) root: Scope,
}

/// Nodes that see each other.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) span: Span,
    pub(crate) nodes: Vec<Node>,
    /// The names of all its nodes, those that could not be read too.
    pub(crate) names: Vec<String>,
    /// What it gives; if nothing is said, what the only node gives that no other one takes.
    pub(crate) gives: Option<Template>,
}

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: At<String>,
    pub(crate) kind: Kind,
    /// What it is given; the input of its scope if nothing is said.
    pub(crate) input: Option<Template>,
    pub(crate) needs: Vec<At<String>>,
    pub(crate) policy: Policy,
    pub(crate) position: Option<Position>,
}

/// What a node does.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Calls a function of the host's by name; with several arguments, if it is said which.
    Task {
        task: At<String>,
        args: Option<Vec<Template>>,
    },
    Call(ActionRef),
    Transform(Template),
    Switch {
        by: Chooser,
        arms: Vec<Arm>,
    },
    Each {
        at_most: u32,
        tolerance: Tolerance,
        body: Scope,
    },
    Repeat {
        by: Chooser,
        at_most: u32,
        body: Scope,
    },
    /// Waits for a signal, from when these values are there.
    Wait {
        signal: SignalRef,
        args: Option<Vec<Template>>,
    },
    Sleep(Duration),
    Run(ChildRef),
    Try {
        body: Scope,
        handlers: Vec<Catch>,
        /// The function that is called in the end.
        finally: Option<(At<String>, Option<Retry>)>,
    },
    Race {
        arms: Vec<Arm>,
        join: Join,
    },
    Fail(FailureKind),
}

/// What takes over from failures of these kinds; of all, if there are none.
#[derive(Clone, Debug)]
pub(crate) struct Catch {
    pub(crate) label: String,
    pub(crate) kinds: Vec<FailureKind>,
    pub(crate) scope: Scope,
}

/// Who chooses: which arm, or whether it goes on.
#[derive(Clone, Debug)]
pub(crate) enum Chooser {
    /// The first expression that holds, an expression an arm but for the last; of a repeat there is one. It may mean that it ends
    /// when that holds.
    Expressions { tests: Vec<Template>, until: bool },
    /// A function of the host's.
    Task(At<String>),
}

#[derive(Clone, Debug)]
pub(crate) struct Arm {
    pub(crate) label: String,
    pub(crate) scope: Scope,
}

/// What is said of how a node's work is done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) retry: Option<Retry>,
    pub(crate) within: Option<Duration>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) durability: Durability,
    pub(crate) undo: Option<(At<String>, Option<Retry>)>,
    pub(crate) on_error: Option<OnError>,
}

/// What takes over when the work has failed for good.
#[derive(Clone, Debug)]
pub(crate) enum OnError {
    Task(At<String>),
    /// A value, made of what the node was given and of `$error`.
    Gives(Template),
}
