//! What a node of a plan does.

use std::time::Duration;

use super::ids::ScopeIx;
use crate::{ActionRef, ChildRef, FailureKind, Join, Retry, SignalRef, Tolerance};

/// One way out of a `when`, or one way through a `race`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// Its name.
    pub label: String,
    /// What is done there.
    pub scope: ScopeIx,
}

/// What a `try` tries, and what becomes of failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// What is tried.
    pub body: ScopeIx,
    /// What takes over when that failed for good: the first that takes the kind.
    pub handlers: Vec<Handler>,
    /// Whether the node's function is to be called in the end, and when that is tried again.
    pub finally: Option<Retry>,
}

/// What takes over when the body of a `try` failed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    /// Its name.
    pub label: String,
    /// The kinds of failures that it takes; all, if it names none.
    pub kinds: Vec<FailureKind>,
    /// What is done.
    pub scope: ScopeIx,
}

impl Handler {
    /// Whether it takes failures of this kind.
    pub fn takes(&self, kind: &FailureKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(kind)
    }
}

/// What a node does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeKind {
    /// Calls the host's function.
    Step,
    /// Calls a connector's action.
    Call(ActionRef),
    /// Its function chooses one of the arms by number; the arm's scope gets the node's input and its output is the
    /// node's.
    When(Vec<Arm>),
    /// Runs its body for every item of the list that is its input; gives the list of what they gave, or of what became of
    /// them if some may fail, in order.
    Each {
        /// What is done for an item.
        body: ScopeIx,
        /// How many items are worked on at a time.
        concurrency: u32,
        /// How many may fail.
        tolerance: Tolerance,
    },
    /// As long as its function says so of the value, runs its body, which takes the value and gives the next one. The first
    /// is the node's input, the last its output.
    Repeat {
        /// What is done each time.
        body: ScopeIx,
        /// How often at most.
        most: u32,
    },
    /// Passes its input on after this time.
    Sleep(Duration),
    /// Waits for a signal and gives its value.
    Wait(SignalRef),
    /// Runs another workflow with its input; gives what that gave, or its id if it is detached.
    Run(ChildRef),
    /// Does its body with its input, again if that is said, and lets a handler take over from it. Its function is its
    /// `finally`. In a box, because there are many nodes and few of these.
    Try(Box<Guarded>),
    /// Does all of its arms at once with its input, until so many have succeeded.
    Race {
        /// The arms.
        arms: Vec<Arm>,
        /// How many must succeed.
        join: Join,
    },
    /// Fails with this kind; the message is its input.
    Fail(FailureKind),
}

impl NodeKind {
    /// The kind in a word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Call(_) => "call",
            Self::When(_) => "when",
            Self::Each { .. } => "each",
            Self::Repeat { .. } => "repeat",
            Self::Sleep(_) => "sleep",
            Self::Wait(_) => "wait",
            Self::Run(_) => "run",
            Self::Try(_) => "try",
            Self::Race { .. } => "race",
            Self::Fail(_) => "fail",
        }
    }

    /// The scopes inside the node.
    pub fn scopes(&self) -> Vec<ScopeIx> {
        match self {
            Self::When(arms) | Self::Race { arms, .. } => arms.iter().map(|arm| arm.scope).collect(),
            Self::Each { body, .. } | Self::Repeat { body, .. } => vec![*body],
            Self::Try(guarded) => {
                std::iter::once(guarded.body).chain(guarded.handlers.iter().map(|handler| handler.scope)).collect()
            }
            Self::Step | Self::Call(_) | Self::Sleep(_) | Self::Wait(_) | Self::Run(_) | Self::Fail(_) => Vec::new(),
        }
    }

    /// The scopes inside the node, each with a word for people.
    pub fn labelled(&self) -> Vec<(String, ScopeIx)> {
        match self {
            Self::When(arms) | Self::Race { arms, .. } => {
                arms.iter().map(|arm| (arm.label.clone(), arm.scope)).collect()
            }
            Self::Each { body, .. } => vec![("item".to_owned(), *body)],
            Self::Repeat { body, .. } => vec![("again".to_owned(), *body)],
            Self::Try(guarded) => {
                let handlers = guarded.handlers.iter();
                let handlers = handlers.map(|handler| (format!("catch {}", handler.label), handler.scope));
                std::iter::once(("try".to_owned(), guarded.body)).chain(handlers).collect()
            }
            Self::Step | Self::Call(_) | Self::Sleep(_) | Self::Wait(_) | Self::Run(_) | Self::Fail(_) => Vec::new(),
        }
    }

    /// Whether a failure in this one of its scopes goes to the node, and not to whatever the node stands in.
    pub const fn contains_failure(&self, number: u32) -> bool {
        match self {
            Self::Race { .. } => true,
            // What a handler cannot do goes outwards.
            Self::Try(_) => number == 0,
            Self::Each { tolerance, .. } => !matches!(tolerance, Tolerance::None),
            _ => false,
        }
    }

    /// Whether this one of its scopes may be opened more than once, so that addresses need a number for it.
    pub const fn opens_again(&self, number: u32) -> bool {
        match self {
            Self::Each { .. } | Self::Repeat { .. } => true,
            Self::Try(_) => number == 0,
            _ => false,
        }
    }
}
