//! What can be wrong with a draft.

use std::fmt;

use crate::InvalidName;

/// One fault of a draft. Nodes are named by their path through the scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanFault {
    /// The workflow's name is not one.
    WorkflowName {
        /// What was given.
        name: String,
        /// Which rule it breaks.
        why: InvalidName,
    },
    /// A tag that runs need is not one: the rules are those of names.
    Tag {
        /// What was given.
        tag: String,
        /// Which rule it breaks.
        why: InvalidName,
    },
    /// A node's name is not one.
    NodeName {
        /// What was given.
        name: String,
        /// The scope it stands in.
        scope: String,
        /// Which rule it breaks.
        why: InvalidName,
    },
    /// Several nodes of one scope have the same name.
    DuplicateName {
        /// The name.
        node: String,
        /// How many nodes have it.
        count: usize,
    },
    /// Nodes wait for each other.
    Cycle {
        /// The nodes of the cycle in the order of its edges; the first is repeated at the end.
        path: Vec<String>,
    },
    /// A node refers to one that is not there.
    DanglingEdge {
        /// Who refers.
        node: String,
        /// To what.
        missing: String,
    },
    /// A node can never start.
    Unreachable {
        /// The node.
        node: String,
        /// The faulty node that it waits for, directly or not.
        because: String,
    },
    /// A scope does not say what it gives.
    MissingOutput {
        /// The scope.
        scope: String,
    },
    /// A scope gives the value of a node that is not there.
    DanglingOutput {
        /// The scope.
        scope: String,
        /// The node that is not there.
        missing: String,
    },
    /// A scope gives a value of another type than it is to give.
    OutputMismatch {
        /// The scope.
        scope: String,
        /// The type it is to give.
        wants: String,
        /// Who gives instead.
        from: String,
        /// The type that gives.
        gives: String,
    },
    /// A node has more or fewer inputs than it takes.
    InputCount {
        /// The node.
        node: String,
        /// How many it takes.
        takes: usize,
        /// How many are wired to it.
        given: usize,
    },
    /// A value of one type is wired to where another is taken.
    TypeMismatch {
        /// Who takes.
        node: String,
        /// Which input; the first is 0 here and 1 in words.
        port: usize,
        /// The type it takes.
        takes: String,
        /// Who gives.
        from: String,
        /// The type that gives.
        gives: String,
    },
    /// An `each` that may work on no item at a time, a `when` without arms, a `race` with too few, a `repeat` that may repeat
    /// nothing: it could never end.
    Endless {
        /// The node.
        node: String,
        /// Why.
        why: &'static str,
    },
    /// A label of an arm or a handler that is none: the rules are those of names.
    ArmLabel {
        /// The node.
        node: String,
        /// What was given.
        label: String,
        /// Which rule it breaks.
        why: InvalidName,
    },
    /// Several arms or handlers of a node with the same label.
    DuplicateArm {
        /// The node.
        node: String,
        /// The label.
        label: String,
    },
    /// The name of a signal that is none.
    SignalName {
        /// The node that waits for it.
        node: String,
        /// What was given.
        signal: String,
        /// Which rule it breaks.
        why: InvalidName,
    },
    /// Nodes that wait for one signal disagree on which of its values they take.
    SignalTake {
        /// A node that says something else than another one.
        node: String,
        /// The signal.
        signal: String,
    },
    /// The name of a workflow to run that is none.
    ChildName {
        /// The node that runs it.
        node: String,
        /// What was given.
        workflow: String,
        /// Which rule it breaks.
        why: InvalidName,
    },
    /// A kind of failure that is none: the rules are those of names.
    FailureKind {
        /// The node that names it.
        node: String,
        /// What was given.
        kind: String,
        /// Which rule it breaks.
        why: InvalidName,
    },
    /// Something was said of a node that means nothing for its kind.
    Meaningless {
        /// The node.
        node: String,
        /// What was said, and of what.
        what: &'static str,
    },
    /// A constant that cannot be written down.
    Constant {
        /// Its type.
        of: String,
        /// Why not.
        why: String,
    },
    /// More nodes than allowed.
    TooManyNodes {
        /// How many there are at least.
        count: usize,
        /// How many are allowed.
        most: usize,
    },
    /// Scopes nested more deeply than allowed.
    TooDeep {
        /// A node whose scopes are too deep.
        node: String,
        /// How deep is allowed.
        most: usize,
    },
}

impl fmt::Display for PlanFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkflowName { name, why } => {
                write!(f, "the workflow's name {} is not valid: {why}", Quoted(name))
            }
            Self::Tag { tag, why } => write!(f, "the tag {} is not valid: {why}", Quoted(tag)),
            Self::NodeName { name, scope, why } => {
                write!(f, "a node's name {} in {scope} is not valid: {why}", Quoted(name))
            }
            Self::DuplicateName { node, count } => write!(f, "`{node}` is the name of {count} nodes"),
            Self::Cycle { path } => write!(f, "a cycle: {}", path.join(" -> ")),
            Self::DanglingEdge { node, missing } => {
                write!(f, "`{node}` refers to `{missing}`, which is not in its scope")
            }
            Self::Unreachable { node, because } => write!(f, "`{node}` can never start: it waits for `{because}`"),
            Self::MissingOutput { scope } => write!(f, "{scope} has no output"),
            Self::DanglingOutput { scope, missing } => {
                write!(f, "the output of {scope} is `{missing}`, which is not in it")
            }
            Self::OutputMismatch { scope, wants, from, gives } => {
                write!(f, "the output of {scope} is to be `{wants}` but `{from}` gives `{gives}`")
            }
            Self::InputCount { node, takes, given } => {
                write!(f, "`{node}` takes {takes} inputs but is given {given}")
            }
            Self::TypeMismatch { node, port, takes, from, gives } => {
                write!(f, "`{node}` takes `{takes}` as input {} but `{from}` gives `{gives}`", port + 1)
            }
            Self::Endless { node, why } => write!(f, "`{node}` can never end: {why}"),
            Self::ArmLabel { node, label, why } => {
                write!(f, "the label {} of an arm of `{node}` is not valid: {why}", Quoted(label))
            }
            Self::DuplicateArm { node, label } => write!(f, "`{node}` has several arms {}", Quoted(label)),
            Self::SignalName { node, signal, why } => {
                write!(f, "the signal {} that `{node}` waits for is not valid: {why}", Quoted(signal))
            }
            Self::SignalTake { node, signal } => {
                write!(f, "`{node}` and another node disagree on which values of {} they take", Quoted(signal))
            }
            Self::ChildName { node, workflow, why } => {
                write!(f, "the workflow {} that `{node}` runs is not valid: {why}", Quoted(workflow))
            }
            Self::FailureKind { node, kind, why } => {
                write!(f, "the kind of failure {} that `{node}` names is not valid: {why}", Quoted(kind))
            }
            Self::Meaningless { node, what } => write!(f, "`{node}`: {what}"),
            Self::Constant { of, why } => write!(f, "a constant `{of}` cannot be written as JSON: {why}"),
            Self::TooManyNodes { count, most } => write!(f, "{count} nodes are more than the {most} that are allowed"),
            Self::TooDeep { node, most } => {
                write!(f, "`{node}` stands {most} scopes deep, and more are not allowed")
            }
        }
    }
}

impl std::error::Error for PlanFault {}

/// A text that may be no name: in quotes, escaped, and cut where it is too long to be one.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(80).and_then(|(end, _)| self.0.get(..end)) {
            Some(beginning) => write!(f, "{beginning:?}..."),
            None => write!(f, "{:?}", self.0),
        }
    }
}

/// Every fault of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFaults {
    /// The workflow, as it was named.
    pub workflow: String,
    /// The faults; at least one.
    pub faults: Vec<PlanFault>,
}

impl fmt::Display for PlanFaults {
    /// A line that counts them, then a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.faults.len() == 1 { "fault" } else { "faults" };
        write!(f, "{} {plural} in workflow {}", self.faults.len(), Quoted(&self.workflow))?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for PlanFaults {}

impl From<PlanFaults> for crate::Error {
    fn from(faults: PlanFaults) -> Self {
        Self::new(crate::ErrorKind::Invalid, "check workflow").caused_by(faults)
    }
}
