//! Values that are typed, or stand in files, or come by standard input.

use std::fs;
use std::io::{Read, stdin};

use fastn::core::{Error, ErrorKind, Result};
use fastn::documents::Document;
use serde_json::Value;

/// How much is read at most, in bytes: more than any engine takes.
const MOST: u64 = 64 << 20;

/// JSON, `@FILE`, or `-`; `null` if nothing is said.
pub(crate) fn given(said: Option<&str>) -> Result<Value> {
    let wrong = |kind| Error::new(kind, "read input");
    let text = match said {
        None => return Ok(Value::Null),
        Some("-") => {
            let mut text = String::new();
            stdin()
                .lock()
                .take(MOST)
                .read_to_string(&mut text)
                .map_err(|why| wrong(ErrorKind::Invalid).caused_by(why))?;
            text
        }
        Some(said) => match said.strip_prefix('@') {
            Some(file) => {
                fs::read_to_string(file).map_err(|why| wrong(ErrorKind::Invalid).with("file", file).caused_by(why))?
            }
            None => said.to_owned(),
        },
    };
    serde_json::from_str(&text).map_err(|why| wrong(ErrorKind::Invalid).caused_by(why))
}

/// Whether the input is what the document says that it takes.
pub(crate) fn check(document: &Document, input: &Value) -> Result<()> {
    let Some(schema) = document.input_schema() else { return Ok(()) };
    let wrong = || Error::new(ErrorKind::Invalid, "check input").with("workflow", document.name());
    let validator = jsonschema::validator_for(schema)
        .map_err(|why| wrong().caused_by(format!("`input` of the document is no JSON Schema: {why}")))?;
    let errors: Vec<String> = validator
        .iter_errors(input)
        .take(20)
        .map(|error| format!("{:?}: {error}", error.instance_path().to_string()))
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(wrong().caused_by(errors.join("; "))) }
}

/// How long, as documents say it.
pub(crate) fn span(said: Option<&str>) -> Result<Option<std::time::Duration>> {
    let wrong = |said: &str| Error::new(ErrorKind::Invalid, "read time").with("text", said);
    said.map(|said| fastn::documents::parse_span(said).ok_or_else(|| wrong(said))).transpose()
}
