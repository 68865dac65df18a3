//! Drafts from one line each: `name(input, other) after third`.

use std::time::Duration;

use fastn_core::plan::{DraftKind, DraftNode, DraftScope, DraftSource};
use fastn_core::{Draft, Payload};

/// A draft from lines `name(inputs)`, with the last line `-> output`. An input is `input`, `'constant'` or a node;
/// `after a b` adds edges without values. `sleep`, `each N` and `when` make the node one of those, their scopes handed in
/// by `inner`.
pub(crate) fn draft(text: &str) -> Draft {
    Draft { name: "test".into(), root: scope(text), ..Draft::default() }
}

pub(crate) fn scope(text: &str) -> DraftScope {
    let mut scope = DraftScope::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(output) = line.strip_prefix("-> ") {
            scope.output = Some(source(output));
            continue;
        }
        let (name, rest) = line.split_once('(').expect("a line is `name(inputs)`");
        let (inputs, adverbs) = rest.split_once(')').expect("a line is `name(inputs)`");
        let kind = if adverbs.contains("sleep") { DraftKind::Sleep(Duration::from_secs(1)) } else { DraftKind::Step };
        let mut node = DraftNode::new(name, kind);
        node.inputs = inputs.split(',').map(str::trim).filter(|s| !s.is_empty()).map(source).collect();
        if let Some((_, after)) = adverbs.split_once("after ") {
            node.after = after.split_whitespace().map(str::to_owned).collect();
        }
        scope.nodes.push(node);
    }
    scope
}

fn source(text: &str) -> DraftSource {
    match text.strip_prefix('\'') {
        Some(constant) => DraftSource::Constant(Payload::json(constant.trim_end_matches('\'').to_owned())),
        None if text == "input" => DraftSource::Input,
        None => DraftSource::Node(text.to_owned()),
    }
}

pub(crate) fn each(name: &str, input: &str, concurrency: u32, body: &str) -> DraftNode {
    let mut node = DraftNode::new(name, DraftKind::Each { body: scope(body), concurrency });
    node.inputs = vec![source(input)];
    node
}

pub(crate) fn when(name: &str, input: &str, arms: &[(&str, &str)]) -> DraftNode {
    let arms = arms.iter().map(|(label, text)| ((*label).to_owned(), scope(text))).collect();
    let mut node = DraftNode::new(name, DraftKind::When(arms));
    node.inputs = vec![source(input)];
    node
}
