//! The whole document.

use super::reader::Reader;
use crate::fault::FaultKind;
use crate::model::Flow;
use crate::syntax::{Tree, Value};

/// What may stand at the top.
const KEYS: [&str; 12] = [
    "fastn",
    "name",
    "version",
    "note",
    "deadline",
    "requires",
    "input",
    "output",
    "nodes",
    "gives",
    "secrets",
    "connections",
];

/// Reads a whole document.
pub(crate) fn flow(reader: &mut Reader<'_>, tree: &Tree) -> Option<Flow> {
    let fields = reader.fields_in(tree, "a document", &KEYS)?;
    if let Some(version) = reader.must(&fields, "fastn", "a document") {
        let one = match &version.value {
            Value::Text(text) => text == "1",
            _ => false,
        };
        if !one {
            reader.found.add(
                FaultKind::Unsupported,
                version.span,
                "`fastn` is the version of the language, and the only one is \"1\"",
            );
        }
    }
    for key in ["secrets", "connections"] {
        if let Some(entry) = fields.entry(key) {
            reader.found.add(FaultKind::Unsupported, entry.span, format!("`{key}` is not yet supported"));
        }
    }
    reader.note(&fields);
    let name = reader.must(&fields, "name", "a document");
    let name = name.and_then(|tree| Some(Reader::spanned(tree.span, reader.text_in(tree, "name")?)));
    // What else is wrong is told all the same.
    let name = name.unwrap_or_else(|| Reader::spanned(fields.span, ""));
    let version = fields.get("version").and_then(|tree| reader.count_in(tree, "version")).unwrap_or(1);
    let deadline = fields.get("deadline").and_then(|tree| reader.span(tree, "deadline"));
    let requires = fields.get("requires").map(|tree| reader.names(tree, "requires")).unwrap_or_default();
    let mut schema = |key: &str| {
        let tree = fields.get(key)?;
        match tree.value {
            Value::Map(_) | Value::Bool(_) => Some(tree.to_json()),
            _ => reader.wrong(
                FaultKind::Value,
                tree.span,
                format!("`{key}` is a JSON Schema, and this is {}", tree.what()),
            ),
        }
    };
    let (input, output) = (schema("input"), schema("output"));
    let root = reader.scope(&fields, "", 1);
    Some(Flow { name, version, deadline, requires, input, output, root })
}
