//! Doors to what is private, for those who look for what breaks it.

use serde_json::Value as Json;

use crate::jq::{Evaluation, compile};
use crate::limits::{Fuel, Limits};

/// What an expression gives for an input, or why it gives nothing; `None` if it is no expression.
pub fn evaluate(text: &str, input: &Json) -> Option<Result<Json, String>> {
    if text.len() > Limits::default().expression {
        return None;
    }
    let compiled = std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(64 << 20);
        let thread = builder.spawn_scoped(scope, || compile(text).ok()).ok()?;
        thread.join().ok().flatten()
    })?;
    let mut fuel = Fuel { steps: 50_000, bytes: 8 << 20, output: 1 << 20 };
    let nodes = serde_json::json!({"a": [1, {"b": null}]});
    let result = compiled.expression.evaluate(input, &nodes, &Json::Null, &mut fuel);
    Some(result.map_err(|why| match why {
        Evaluation::Failed(what) => what,
        Evaluation::TooMuch(what) => what.to_owned(),
    }))
}
