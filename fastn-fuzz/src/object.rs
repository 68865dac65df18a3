//! JSON objects that were read and written again.

use serde_json::{Map, Value};

/// The fields of an object.
pub(crate) fn fields(bytes: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(bytes).expect("what was read or written is an object")
}

/// What a later build has written is there still.
pub(crate) fn keeps_the_unknown(before: &[u8], after: &[u8]) {
    let (before, after) = (fields(before), fields(after));
    for (name, value) in before.iter().filter(|(name, _)| name.starts_with("of_a_later")) {
        assert_eq!(after.get(name), Some(value), "{name}");
    }
}
