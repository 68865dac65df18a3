//! The rules of a queue as they are kept, and whose a run is by its input.

use std::time::Duration;

use fastn_core::{Payload, QueueKey, TenantId};
use fastn_store::QueueRules;

use crate::object::keeps_the_unknown;

pub(crate) const WORDS: &[&str] = &[
    "\n",
    "{\"v\":1,",
    "\"paused\":true",
    "\"concurrency\":1",
    "\"per_key\":null",
    "\"rate\":{\"quota\":1,\"per\":1000000,\"window\":\"sliding\"}",
    "\"window\":\"fixed\"",
    "\"weights\":{\"gold\":3}",
    "\"ageing\":18446744073709551615",
    "\"key\":\"/a~1b/0\"",
    "\"of_a_later_version\":[1]",
    "~0",
    "1e400",
];

/// Rules in the first line, and an input in the rest.
pub(crate) fn run(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (line, rest) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let Ok(rules) = QueueRules::decode(line) else { return };
    let defined = rules.clone().defined_as(&QueueRules::default());
    assert_eq!(defined.paused, rules.paused, "what a program does not say stays");
    let key = rules.key_of(&TenantId::default(), &Payload::json(rest.to_vec()));
    assert!(key.as_str().len() <= 256 && !key.as_str().chars().any(char::is_control), "{key}");
    assert_eq!(QueueKey::of(key.as_str()), key, "a key is that of its own text");
    let written = rules.encode();
    assert_eq!(written.is_ok(), rules.check().is_ok(), "what can be kept is written, and nothing else");
    let Ok(written) = written else { return };
    assert_eq!(QueueRules::decode(&written).expect("it was written"), rules);
    keeps_the_unknown(line, &written);
    assert!(rules.ageing <= Duration::from_secs(366 * 86_400));
}
