//! How a node's work is done, as a document says it.

use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result, Retry};
use serde_json::Value as Json;

use super::print::{map, number, of_json, text};
use crate::read::write_span;
use crate::syntax::Tree;

/// A time, if it can be written.
pub(super) fn span(span: Duration) -> Result<Tree> {
    let unsaid = || Error::new(ErrorKind::Unsupported, "render plan").with("time", format!("{span:?}"));
    write_span(span).map(text).ok_or_else(unsaid)
}

/// All that a retry policy says, so that nothing hangs on what is usual.
pub(super) fn retry(retry: &Retry) -> Result<Tree> {
    let broken = |why: serde_json::Error| Error::new(ErrorKind::Internal, "render retry policy").caused_by(why);
    let said = serde_json::to_value(retry).map_err(broken)?;
    let time = |value: &Json| serde_json::from_value::<Duration>(value.clone()).map_err(broken);
    let field = |key: &str| said.get(key).filter(|value| !value.is_null());
    let backoff = field("backoff").and_then(Json::as_object).and_then(|kinds| kinds.iter().next());
    let (kind, wait) = match backoff {
        Some((kind, wait)) => (kind.as_str(), time(wait)?),
        None => return Err(Error::new(ErrorKind::Unsupported, "render retry policy")),
    };
    // A wait that is always the same has no cap by itself.
    let cap = match field("cap").map(&time).transpose()? {
        Some(Duration::MAX) if kind == "fixed" => None,
        Some(cap) => Some(span(cap)?),
        None => None,
    };
    let elapsed = field("elapsed").map(time).transpose()?.map(span).transpose()?;
    let attempts = Some(retry.most_attempts()).filter(|most| *most != u32::MAX);
    Ok(map([
        ("attempts", attempts.map(number)),
        ("backoff", Some(text(kind))),
        ("wait", Some(span(wait)?)),
        ("cap", cap),
        ("jitter", field("jitter").map(of_json)),
        ("elapsed", elapsed),
        ("except", field("except").map(of_json)),
    ]))
}
