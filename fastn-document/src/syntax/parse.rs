//! Which syntax it is.

use super::tree::Tree;
use super::{json, yaml};
use crate::fault::{FaultKind, Found};
use crate::limits::Limits;
use crate::place::Span;

/// Reads a text as JSON, if it is named so or begins as JSON does, and as YAML otherwise. `None` if nothing could be made of it;
/// then a fault says why.
pub(crate) fn parse(file: &str, text: &str, limits: &Limits, found: &mut Found) -> Option<Tree> {
    if text.len() > limits.bytes {
        let message = format!("the document has {} bytes, and {} are allowed", text.len(), limits.bytes);
        found.add(FaultKind::Limit, Span::new(0, 0), message);
        return None;
    }
    // YAML has flow collections that look like JSON at first, with keys that are not in quotes.
    let looks_like_json = || {
        let mut begins = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).chars();
        begins.next() == Some('{') && begins.find(|c| !c.is_whitespace()).is_some_and(|c| matches!(c, '"' | '}'))
    };
    if file.ends_with(".json") || (!file.ends_with(".yaml") && !file.ends_with(".yml") && looks_like_json()) {
        json::parse(text, limits, found)
    } else {
        yaml::parse(text, limits, found)
    }
}
