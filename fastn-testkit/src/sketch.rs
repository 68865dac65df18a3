//! Drafts of workflows from a line per node.
//!
//! ```
//! let plan = fastn_testkit::sketch::draft("
//!     fetch(input)
//!     price(fetch)
//!     tell(fetch, '\"hello\"') after price
//!     rest(tell) sleep 5
//!     -> price
//! ").check()?;
//! assert_eq!(plan.nodes().len(), 4);
//! # Ok::<(), fastn_core::PlanFaults>(())
//! ```
//!
//! An input is `input`, a constant in single quotes, or the name of a node. Adverbs: `after a b`, `sleep SECONDS`,
//! `wait SIGNAL`, `first SIGNAL`, `run WORKFLOW`, `leave WORKFLOW`, `detach WORKFLOW`, `within SECONDS`, `retry N` (each after 1 s,
//! without jitter), `undo` (tried twice), `on_error`, `at_most_once`, `relaxed`, `fail KIND`.

use std::time::Duration;

use fastn_core::plan::{DraftHandler, DraftKind, DraftNode, DraftScope, DraftSource};
use fastn_core::{Bond, ChildRef, Draft, Durability, FailureKind, Join, Payload, Retry, SignalRef, Take, Tolerance};

/// The draft of a workflow named `test`.
pub fn draft(text: &str) -> Draft {
    Draft { name: "test".to_owned(), root: scope(text), ..Draft::default() }
}

/// The draft of a scope.
pub fn scope(text: &str) -> DraftScope {
    let mut scope = DraftScope::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.strip_prefix("-> ") {
            Some(output) => scope.output = Some(source(output)),
            None => scope.nodes.push(node(line)),
        }
    }
    scope
}

fn node(line: &str) -> DraftNode {
    let (name, rest) = line.split_once('(').unwrap_or((line, ")"));
    let (inputs, adverbs) = rest.split_once(')').unwrap_or((rest, ""));
    let mut node = DraftNode::new(name, DraftKind::Step);
    node.inputs = inputs.split(',').map(str::trim).filter(|input| !input.is_empty()).map(source).collect();
    let mut words = adverbs.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let mut number = || words.next_if(|word| word.parse::<u32>().is_ok()).and_then(|word| word.parse().ok());
        match word {
            "sleep" => node.kind = DraftKind::Sleep(Duration::from_secs(number().unwrap_or(1).into())),
            "retry" => {
                node.policy.retry = Retry::fixed(Duration::from_secs(1)).attempts(number().unwrap_or(1) + 1);
            }
            "undo" => node.policy.undo = Some(Retry::fixed(Duration::from_secs(1)).attempts(2)),
            "on_error" => node.policy.on_error = true,
            "at_most_once" => node.policy.durability = Durability::AtMostOnce,
            "relaxed" => node.policy.durability = Durability::Relaxed,
            "within" => node.policy.within = Some(Duration::from_secs(number().unwrap_or(1).into())),
            "wait" | "first" => {
                let take = if word == "first" { Take::First } else { Take::Each };
                let name = words.next().unwrap_or_default().to_owned().into();
                node.kind = DraftKind::Wait(SignalRef { name, take });
            }
            "run" | "leave" | "detach" => {
                let bond = match word {
                    "leave" => Bond::Leave,
                    "detach" => Bond::Detach,
                    _ => Bond::Own,
                };
                let workflow = words.next().unwrap_or_default().to_owned().into();
                node.kind = DraftKind::Run(ChildRef { workflow, version: None, bond });
            }
            "fail" => node.kind = DraftKind::Fail(FailureKind::new(words.next().unwrap_or_default().to_owned())),
            "after" => {}
            name => node.after.push(name.to_owned()),
        }
    }
    node
}

fn source(text: &str) -> DraftSource {
    match text.strip_prefix('\'') {
        Some(constant) => DraftSource::Constant(Payload::json(constant.trim_end_matches('\'').to_owned())),
        None if text == "input" => DraftSource::Input,
        None => DraftSource::Node(text.to_owned()),
    }
}

/// A node that does `body` for every item of its input.
pub fn each(name: &str, input: &str, concurrency: u32, body: &str) -> DraftNode {
    let mut node = DraftNode::new(name, DraftKind::Each { body: scope(body), concurrency, tolerance: Tolerance::None });
    node.inputs = vec![source(input)];
    node
}

/// A node that does `body` for every item of its input, of which some may fail.
pub fn tolerant(name: &str, input: &str, concurrency: u32, tolerance: Tolerance, body: &str) -> DraftNode {
    let mut node = DraftNode::new(name, DraftKind::Each { body: scope(body), concurrency, tolerance });
    node.inputs = vec![source(input)];
    node
}

/// A node that tries `body`. Each handler is the kind of failure that it takes, or `*` for all, and a scope. The adverbs are
/// `retry N` and `finally` (tried twice).
pub fn attempt(name: &str, input: &str, adverbs: &str, body: &str, handlers: &[(&str, &str)]) -> DraftNode {
    let handler = |(kind, text): &(&str, &str)| DraftHandler {
        label: (*kind).to_owned(),
        kinds: if *kind == "*" { Vec::new() } else { vec![FailureKind::new((*kind).to_owned())] },
        scope: scope(text),
    };
    let handlers = handlers.iter().map(handler).collect();
    let finally = adverbs.contains("finally").then(|| Retry::fixed(Duration::from_secs(1)).attempts(2));
    let mut node = self::node(&format!("{name}() {}", adverbs.replace("finally", "")));
    node.kind = DraftKind::Try { body: scope(body), handlers, finally };
    node.inputs = vec![source(input)];
    node
}

/// A node that does all of these arms, each a label and a scope, until so many have succeeded.
pub fn race(name: &str, input: &str, join: Join, arms: &[(&str, &str)]) -> DraftNode {
    let arms = arms.iter().map(|(label, text)| ((*label).to_owned(), scope(text))).collect();
    let mut node = DraftNode::new(name, DraftKind::Race { arms, join });
    node.inputs = vec![source(input)];
    node
}

/// A node that does `body` again and again, at most so often.
pub fn repeat(name: &str, input: &str, most: u32, body: &str) -> DraftNode {
    let mut node = DraftNode::new(name, DraftKind::Repeat { body: scope(body), most });
    node.inputs = vec![source(input)];
    node
}

/// A node that chooses one of these arms, each a label and a scope.
pub fn when(name: &str, input: &str, arms: &[(&str, &str)]) -> DraftNode {
    let arms = arms.iter().map(|(label, text)| ((*label).to_owned(), scope(text))).collect();
    let mut node = DraftNode::new(name, DraftKind::When(arms));
    node.inputs = vec![source(input)];
    node
}
