//! The functions of verbs whose functions are not the author's.

use std::future::ready;
use std::sync::Arc;

use fastn_core::{Payload, StepCx, StepError, StepFn};
use serde_json::value::RawValue;

use crate::handler::{self, Role, invalid, kind};
use crate::passing::Value;

/// Decides something about one value.
pub(crate) fn decide<T: Value, U: Value>(question: impl Fn(&T) -> U + Send + Sync + 'static) -> Arc<dyn StepFn> {
    handler::erase::<_, (T,), kind::Plain>(move |value: T| ready(Ok::<U, StepError>(question(&value))), Role::Work)
}

/// Makes a tuple of its inputs, without decoding them.
pub(crate) fn tuple() -> Arc<dyn StepFn> {
    Arc::new(|_: StepCx, args: Vec<Payload>| -> fastn_core::BoxFuture<'static, Result<Payload, StepError>> {
        Box::pin(ready(array(&args)))
    })
}

fn array(items: &[Payload]) -> Result<Payload, StepError> {
    if items.is_empty() {
        // The tuple of nothing is `()`, and that is `null` in JSON.
        return Ok(Payload::null());
    }
    let raw: Result<Vec<Box<RawValue>>, _> = items.iter().map(Payload::decode).collect();
    raw.and_then(|raw| Payload::encode(&raw))
        .map_err(|e| invalid("an input of a join is not JSON".to_owned(), Some(&e)))
}
