//! The whole document.

use fastn_core::Version;

use super::envelope::{Here, constant, joined, node, part};
use crate::fault::FaultKind;
use crate::model::{At, Flow, Kind};
use crate::read::Reader;
use crate::syntax::{Tree, Value};

/// Whether a document is of this language: it says so by `document`, and says nothing of ours.
pub(crate) fn is_serverless(tree: &Tree) -> bool {
    let Value::Map(entries) = &tree.value else { return false };
    let has = |key: &str| entries.iter().any(|entry| entry.key == key);
    has("document") && !has("fastn")
}

/// Reads a whole document.
pub(crate) fn serverless(reader: &mut Reader<'_>, tree: &Tree) -> Option<Flow> {
    let fields = reader.map_in(tree, "a document")?;
    // What else is wrong is told all the same.
    let known = reader.only(&fields, &["document", "input", "output", "timeout", "do", "evaluate"]);
    let document = reader.must(&fields, "document", "a document")?;
    let document = reader.map_in(document, "`document`")?;
    let names = ["dsl", "namespace", "name", "version", "title", "summary", "tags", "metadata"];
    let keys = reader.only(&document, &names);
    let dsl = reader.must(&document, "dsl", "`document`")?;
    if !reader.text_in(dsl, "dsl")?.starts_with("1.0.") {
        reader.found.add(
            FaultKind::Unsupported,
            dsl.span,
            "the versions 1.0 of the language are supported, and no others",
        );
    }
    reader.must(&document, "namespace", "`document`");
    let name = reader.must(&document, "name", "`document`")?;
    let name = At { span: name.span, it: reader.text_in(name, "name")? };
    let version = reader.must(&document, "version", "`document`").and_then(|tree| reader.version(tree));
    let deadline = match fields.get("timeout") {
        Some(tree) => {
            let timeout = reader.map_in(tree, "`timeout`")?;
            reader.only(&timeout, &["after"])?;
            reader.must(&timeout, "after", "a timeout").and_then(|tree| reader.duration(tree, "after"))
        }
        None => None,
    };
    evaluation(reader, &fields);

    let span = name.span;
    let data = match fields.get("input") {
        Some(tree) => {
            let input = reader.map_in(tree, "`input`")?;
            reader.only(&input, &["from", "schema"])?;
            match input.get("from") {
                Some(from) => reader.with(". as $input | ".to_owned(), |reader| reader.loose(from))?,
                None => reader.ours(".", span)?,
            }
        }
        None => reader.ours(".", span)?,
    };
    let input = fields.get("input").and_then(schema);
    let workflow = joined(span, vec![("input", reader.ours(".", span)?)]);
    let nothing = |value: serde_json::Value| constant(span, value);
    let rest = vec![
        ("context", nothing(serde_json::Value::Null)),
        ("vars", nothing(serde_json::json!({}))),
        ("workflow", workflow),
    ];
    let begin = joined(span, vec![("d", data), ("e", joined(span, rest))]);
    let mut nodes = vec![node("(begin)", span, Kind::Transform(begin), None)];
    let tasks = reader.must(&fields, "do", "a document").and_then(|tree| reader.tasks(tree, true))?;
    let done = reader.tasks_flat(&tasks, "", &Here::default().behind("(begin)"), &mut nodes)?;
    let gives = match fields.get("output") {
        Some(tree) => {
            let output = reader.map_in(tree, "`output`")?;
            reader.only(&output, &["as", "schema"])?;
            match output.get("as") {
                Some(tree) => reader.with(done.before(), |reader| reader.loose(tree))?,
                None => reader.ours(&part(done.from.as_deref(), "d"), span)?,
            }
        }
        None => reader.ours(&part(done.from.as_deref(), "d"), span)?,
    };
    let output = fields.get("output").and_then(schema);
    let mut root = reader.scope_of(nodes, &done, span)?;
    root.gives = Some(gives);
    known.and(keys)?;
    Some(Flow { name, version: version?.0, deadline, requires: Vec::new(), input, output, root })
}

/// The only language of expressions is jq.
fn evaluation(reader: &mut Reader<'_>, fields: &crate::read::Fields<'_>) {
    let Some(tree) = fields.get("evaluate") else { return };
    let Some(said) = reader.map_in(tree, "`evaluate`") else { return };
    reader.only(&said, &["language", "mode"]);
    if let Some(tree) = said.get("language").filter(|tree| !matches!(&tree.value, Value::Text(text) if text == "jq")) {
        reader.found.add(FaultKind::Unsupported, tree.span, "the only language of expressions is jq");
    }
}

/// A schema that stands in the document.
fn schema(tree: &Tree) -> Option<serde_json::Value> {
    let said = tree.to_json();
    said.get("schema").and_then(|schema| schema.get("document")).cloned()
}

impl Reader<'_> {
    /// A semantic version as a number that grows as it does: `1.2.3` is 1002003.
    pub(super) fn version(&mut self, tree: &Tree) -> Option<Version> {
        let text = self.text_in(tree, "version")?;
        let plain = text.split(['-', '+']).next().unwrap_or_default();
        let parts: Vec<Option<u32>> = plain.split('.').map(|part| part.parse().ok()).collect();
        let number = match parts.as_slice() {
            [Some(major), Some(minor), Some(patch)] if *minor < 1_000 && *patch < 1_000 => {
                major.checked_mul(1_000_000).and_then(|major| major.checked_add(minor * 1_000 + patch))
            }
            _ => None,
        };
        let message = "`version` is a semantic version, such as '1.0.0'";
        number.map(Version).or_else(|| self.wrong(FaultKind::Value, tree.span, message))
    }
}
