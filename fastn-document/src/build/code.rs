//! What the functions of a node are, as a text. It is a part of the plan's hash, and rendering reads it back.

use serde_json::{Map, Value as Json};

use crate::model::{Chooser, Kind, Node, OnError};
use crate::template::Template;

/// The text of a node at this path, as JSON with keys in order; `None` if all its functions have the names that are usual there, as
/// those of typed workflows have.
pub(super) fn code(node: &Node, path: &str, prepared: Option<&Template>) -> Option<String> {
    let mut said = Map::new();
    let mut say = |key: &str, value: Json| drop(said.insert(key.to_owned(), value));
    let named = |name: &str, usual: &str| (name != usual).then(|| Json::from(name));
    match &node.kind {
        Kind::Task { task, .. } => {
            if let Some(name) = named(&task.it, path) {
                say("task", name);
            }
        }
        Kind::Transform(template) => say("transform", template.source.clone()),
        Kind::Switch { by, .. } | Kind::Repeat { by, .. } => match by {
            Chooser::Expressions { tests, until } => {
                let key = match node.kind {
                    Kind::Switch { .. } => "when",
                    _ if *until => "until",
                    _ => "while",
                };
                say(key, tests.iter().map(|test| test.source.clone()).collect());
            }
            Chooser::Task(task) => {
                if let Some(name) = named(&task.it, path) {
                    say("by", name);
                }
            }
        },
        Kind::Try { finally: Some((task, _)), .. } => {
            if let Some(name) = named(&task.it, &format!("{path}.finally")) {
                say("finally", name);
            }
        }
        Kind::Call(_)
        | Kind::Each { .. }
        | Kind::Try { .. }
        | Kind::Race { .. }
        | Kind::Wait { .. }
        | Kind::Sleep(_)
        | Kind::Run(_)
        | Kind::Fail(_) => {}
    }
    if let Some(template) = prepared {
        say("in", template.source.clone());
    }
    if let Some((task, _)) = &node.policy.undo
        && let Some(name) = named(&task.it, &format!("{path}.undo"))
    {
        say("undo", name);
    }
    match &node.policy.on_error {
        Some(OnError::Task(task)) => {
            if let Some(name) = named(&task.it, &format!("{path}.on_error")) {
                say("on_error", name);
            }
        }
        Some(OnError::Gives(template)) => say("gives", template.source.clone()),
        None => {}
    }
    (!said.is_empty()).then(|| Json::Object(said).to_string())
}
