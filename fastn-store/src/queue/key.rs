//! Whose a run is, by its input.

use fastn_core::{ContentType, Payload, QueueKey, TenantId};
use serde_json::Value;

use super::rules::QueueRules;

impl QueueRules {
    /// The key of a run with this input: what its pointer points to, as text; the empty one where that is not there or null.
    /// Without a pointer the tenant.
    pub fn key_of(&self, tenant: &TenantId, input: &Payload) -> QueueKey {
        let Some(pointer) = &self.key else { return QueueKey::of(tenant.as_str()) };
        if *input.content() != ContentType::Json {
            return QueueKey::default();
        }
        let value: Value = serde_json::from_slice(input.bytes()).unwrap_or_default();
        match value.pointer(pointer) {
            None | Some(Value::Null) => QueueKey::default(),
            Some(Value::String(text)) => QueueKey::of(text),
            Some(other) => QueueKey::of(&other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pointer: &str, input: &str, key: &str) {
        let rules = QueueRules { key: Some(pointer.to_owned()), ..QueueRules::default() };
        let found = rules.key_of(&TenantId::default(), &Payload::json(input.to_owned()));
        assert_eq!(found.as_str(), key, "{pointer} of {input}");
    }

    #[test]
    fn keys_are_found_in_inputs() {
        check("/customer/id", r#"{"customer":{"id":"acme"}}"#, "acme");
        check("/customer/id", r#"{"customer":{"id":42}}"#, "42");
        check("/customer", r#"{"customer":{"id":42}}"#, r#"{"id":42}"#);
        check("/items/1", r#"{"items":["a","b"]}"#, "b");
        check("/a~1b", r#"{"a/b":true}"#, "true");
        check("", r#""whole""#, "whole");
        for nowhere in [r#"{"customer":{"id":null}}"#, "{}", "[]", "7", "no json"] {
            check("/customer/id", nowhere, "");
        }
        let input = Payload::json("{}");
        assert_eq!(QueueRules::default().key_of(&TenantId::default(), &input).as_str(), "default");
    }
}
