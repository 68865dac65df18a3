//! What a queue allows, and how that is written down.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use fastn_core::{EntryKind, EntryName, Error, ErrorKind, QueueKey, QueueName, Result, TenantId};
use serde::{Deserialize, Serialize};

use super::pointer::check_pointer;
use super::rate::Rate;
use crate::contract::EntryKey;

/// The kind of entry of the [`Repository`](crate::Repository) that says the rules of a queue; its name is that of the queue.
pub const QUEUE: &str = "queue";

/// The version of what is written down. A later build that adds a rule which must not be overlooked raises it.
const VERSION: u32 = 1;

/// What a queue allows. By default everything at once, in the order in which it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct QueueRules {
    pub(super) v: u32,
    /// Nothing is admitted for now.
    pub paused: bool,
    /// At most so many runs at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// At most so many in the hands of one executor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_executor: Option<u32>,
    /// At most so many of one key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_key: Option<u32>,
    /// At most so much in a span of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// At most so much of one key in a span of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_key: Option<Rate>,
    /// Keys take turns, however much each of them has waiting. Otherwise runs go by their priority and by when they came,
    /// whosever they are.
    pub fair: bool,
    /// How many turns a key has while others have one; 1 for those that are not named, and at least 1. Only where keys take
    /// turns.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<QueueKey, u32>,
    /// How much longer a run must have waited to go before one whose priority is larger by one. So none waits for ever. At
    /// most a year; by default a minute. It is taken when a run is enqueued.
    #[serde(with = "super::rate::micros")]
    pub ageing: Duration,
    /// Where in a run's input its key is: a JSON Pointer (RFC 6901) such as `/customer/id`. Without one the key is the run's
    /// tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What later builds have written.
    #[serde(flatten)]
    pub(super) other: BTreeMap<String, serde_json::Value>,
}

impl Default for QueueRules {
    fn default() -> Self {
        Self {
            v: VERSION,
            paused: false,
            concurrency: None,
            per_executor: None,
            per_key: None,
            rate: None,
            rate_per_key: None,
            fair: false,
            weights: BTreeMap::new(),
            ageing: Duration::from_secs(60),
            key: None,
            other: BTreeMap::new(),
        }
    }
}

impl QueueRules {
    /// These rules as a program defines them anew: what the program does not say stays, which is whether the queue is paused,
    /// and what later builds have written.
    pub fn defined_as(self, definition: &Self) -> Self {
        Self { paused: self.paused, other: self.other, ..definition.clone() }
    }

    /// Reads rules as an entry has them. Fields that this build does not know are kept.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) if these are none; [`Unsupported`](ErrorKind::Unsupported) if a later build wrote
    /// something that must not be overlooked.
    pub fn decode(value: &[u8]) -> Result<Self> {
        const OP: &str = "read rules of queue";
        let rules: Self = serde_json::from_slice(value).map_err(|e| Error::new(ErrorKind::Corrupt, OP).caused_by(e))?;
        if rules.v > VERSION {
            return Err(Error::new(ErrorKind::Unsupported, OP).with("version", rules.v).with("known", VERSION));
        }
        Ok(rules)
    }

    /// Writes the rules as an entry has them.
    ///
    /// # Errors
    /// As [`QueueRules::check`].
    pub fn encode(&self) -> Result<Bytes> {
        self.check()?;
        let bytes = serde_json::to_vec(self);
        bytes.map(Bytes::from).map_err(|e| Error::new(ErrorKind::Internal, "write rules of queue").caused_by(e))
    }

    /// Whether it matters whose a run is. If not, the runs of all keys are in one order.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) const fn minds_keys(&self) -> bool {
        self.fair || self.per_key.is_some() || self.rate_per_key.is_some()
    }

    /// Whether nothing more may be admitted, with so many that have their place.
    pub(crate) fn is_full(&self, running: u64) -> bool {
        self.paused || self.concurrency.is_some_and(|most| running >= u64::from(most))
    }

    /// Makes sure that the rules can be kept.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if a limit is zero, which would let nothing pass ever, a span is zero or more than a
    /// year, or the key is no JSON Pointer.
    pub fn check(&self) -> Result<()> {
        let wrong = |why: &'static str| Err(Error::new(ErrorKind::Invalid, "check rules of queue").caused_by(why));
        if [self.concurrency, self.per_executor, self.per_key].contains(&Some(0)) {
            return wrong("a limit of none lets nothing pass ever; a queue can be paused");
        }
        if self.ageing > super::rate::YEAR {
            return wrong("a run ages in a year at most");
        }
        if self.weights.values().any(|weight| *weight == 0) {
            return wrong("a weight is at least 1");
        }
        if self.key.as_deref().is_some_and(|pointer| !check_pointer(pointer)) {
            return wrong("a key is found by a JSON Pointer (RFC 6901), such as /customer/id");
        }
        self.rate.iter().chain(&self.rate_per_key).try_for_each(Rate::check)
    }
}

/// The entry that says the rules of a queue.
pub(crate) fn entry_key(queue: &QueueName) -> Result<EntryKey> {
    let wrong = |e| Error::new(ErrorKind::Internal, "find rules of queue").with("queue", queue).caused_by(e);
    let kind = EntryKind::new(QUEUE).map_err(wrong)?;
    let name = EntryName::new(queue.as_str()).map_err(wrong)?;
    Ok(EntryKey { kind, tenant: TenantId::default(), name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_were_written() {
        let mut rules = QueueRules::default();
        assert_eq!(QueueRules::decode(&rules.encode().unwrap()).unwrap(), rules);
        rules.concurrency = Some(7);
        rules.rate = Some(Rate::sliding(100, Duration::from_secs(60)));
        rules.weights.insert(QueueKey::of("gold"), 3);
        rules.key = Some("/customer/id".to_owned());
        let written = rules.encode().unwrap();
        assert_eq!(QueueRules::decode(&written).unwrap(), rules);
        assert_eq!(
            std::str::from_utf8(&written).unwrap(),
            r#"{"v":1,"paused":false,"concurrency":7,"rate":{"quota":100,"per":60000000,"window":"sliding"},"fair":false,"weights":{"gold":3},"ageing":60000000,"key":"/customer/id"}"#,
            "what is stored must be read by later builds"
        );
    }

    #[test]
    fn what_a_later_build_wrote_is_kept_unless_it_must_not_be_overlooked() {
        let later = br#"{"v":1,"concurrency":2,"colour":"red"}"#;
        let rules = QueueRules::decode(later).unwrap();
        assert_eq!(rules.concurrency, Some(2));
        let again: serde_json::Value = serde_json::from_slice(&rules.encode().unwrap()).unwrap();
        assert_eq!(again["colour"], "red");
        assert_eq!(QueueRules::decode(br#"{"v":2}"#).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(QueueRules::decode(b"[]").unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn rules_that_cannot_be_kept_are_refused() {
        type Change = fn(&mut QueueRules);
        let wrong: [Change; 6] = [
            |rules| rules.concurrency = Some(0),
            |rules| rules.rate = Some(Rate::fixed(0, Duration::from_secs(1))),
            |rules| rules.rate_per_key = Some(Rate::sliding(1, Duration::ZERO)),
            |rules| rules.ageing = Duration::MAX,
            |rules| rules.key = Some("tenant".to_owned()),
            |rules| rules.weights = BTreeMap::from([(QueueKey::default(), 0)]),
        ];
        for (place, change) in wrong.iter().enumerate() {
            let mut rules = QueueRules::default();
            change(&mut rules);
            assert_eq!(rules.encode().unwrap_err().kind(), ErrorKind::Invalid, "{place}");
        }
    }
}
