//! Names and numbers by which things are known, each a type of its own.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// The longest name that is accepted, in bytes.
const MAX_NAME: usize = 256;

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidName {
    /// The text is empty or all white space.
    Empty,
    /// The text is longer than 256 bytes.
    TooLong,
    /// The text holds a control character.
    Control,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a name must not be empty",
            Self::TooLong => "a name must not be longer than 256 bytes",
            Self::Control => "a name must not hold control characters",
        })
    }
}

impl std::error::Error for InvalidName {}

/// The one rule for all names: 1 to 256 bytes, not blank, no control characters.
fn checked(text: &str) -> Result<Arc<str>, InvalidName> {
    if text.trim().is_empty() {
        return Err(InvalidName::Empty);
    }
    if text.len() > MAX_NAME {
        return Err(InvalidName::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidName::Control);
    }
    Ok(Arc::from(text))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 1 to 256 bytes, not blank, without control characters. Cloning is cheap.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text and makes it a name.
            ///
            /// # Errors
            /// [`InvalidName`] says which rule the text breaks.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
                checked(text.as_ref()).map(Self)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// A customer of the host; part of every key.
    TenantId
}
name! {
    /// The name of a workflow.
    WorkflowName
}
name! {
    /// The durable name of a node, unique inside its scope.
    NodeName
}
name! {
    /// The name by which an executor is known to people.
    ExecutorId
}
name! {
    /// What a value that is kept beside runs is, such as `schedule`.
    EntryKind
}
name! {
    /// The name of a value that is kept beside runs, unique inside its tenant and kind.
    EntryName
}

name! {
    /// The name of a queue: the same for all tenants, since what it protects is shared by them.
    QueueName
}

name! {
    /// Something that some executors have and others have not, such as `gpu`: a workflow says what its runs need.
    Tag
}

/// Which of a queue's runs belong together, such as those of one customer: what limits for each key count by.
///
/// At most 256 bytes without control characters; empty for those that say nothing. Cloning is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct QueueKey(Option<Arc<str>>);

impl QueueKey {
    /// The key that belongs to a text: the text itself, or where that is too long or has control characters, `#` and a hash
    /// of it (BLAKE3). The same text gives the same key always.
    pub fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        Self(Some(checked(text).unwrap_or_else(|_| {
            let hash = blake3::derive_key("fastn 2026-11 queue key of a text", text.as_bytes());
            let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            Arc::from(format!("#{digits}"))
        })))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl From<String> for QueueKey {
    fn from(text: String) -> Self {
        Self::of(&text)
    }
}

impl From<QueueKey> for String {
    fn from(key: QueueKey) -> Self {
        key.as_str().to_owned()
    }
}

impl fmt::Display for QueueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Default for TenantId {
    /// The tenant of hosts that have only one: `default`.
    fn default() -> Self {
        static DEFAULT: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("default"));
        Self(DEFAULT.clone())
    }
}

/// The version of a workflow, chosen by its author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u32);

impl Default for Version {
    fn default() -> Self {
        Self(1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// The how-many-eth try of a step; the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(pub u32);

impl Attempt {
    /// The first attempt.
    pub const FIRST: Self = Self(1);

    /// The attempt after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of a run: a UUID (RFC 9562).
///
/// [`RunId::at`] makes a time-ordered version 7, so that new runs are neighbours in an index;
/// [`RunId::named`] derives a version 8 from a key of the host's, so that starting twice with the same key is
/// starting once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

impl RunId {
    /// A version 7 id from a time and 80 random bits (RFC 9562, section 5.7).
    pub fn at(time: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(time.as_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The id that belongs to a key of the host's, such as an order number: always the same for the same key
    /// (RFC 9562, section 5.8, over BLAKE3).
    pub fn named(key: &str) -> Self {
        let mut bytes = [0; 16];
        blake3::Hasher::new_derive_key("fastn 2026-11 run id from a key")
            .update(key.as_bytes())
            .finalize_xof()
            .fill(&mut bytes);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// Whether it was drawn, as [`RunId::at`] does, and not chosen.
    pub const fn is_drawn(&self) -> bool {
        self.0.get_version_num() == 7
    }

    /// The id with these 16 bytes, as a store keeps them.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the id, in network order.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RunId {
    type Err = crate::Error;
    fn from_str(text: &str) -> crate::Result<Self> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|e| crate::Error::new(crate::ErrorKind::Invalid, "parse run id").with("text", text).caused_by(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(NodeName::new(" "), Err(InvalidName::Empty));
        assert_eq!(NodeName::new("a\u{0}b"), Err(InvalidName::Control));
        assert_eq!(NodeName::new("x".repeat(257)), Err(InvalidName::TooLong));
        assert_eq!(NodeName::new("Prüfung · 1").map(|n| n.to_string()), Ok("Prüfung · 1".to_owned()));
        assert!(serde_json::from_str::<TenantId>("\"\"").is_err());
    }

    #[test]
    fn every_text_has_a_queue_key_and_keeps_it() {
        assert_eq!(QueueKey::of("acme").as_str(), "acme");
        assert_eq!(QueueKey::of(""), QueueKey::default());
        for strange in ["a\u{0}b", "  ", &"x".repeat(257)] {
            let key = QueueKey::of(strange);
            assert!(key.as_str().starts_with('#') && key.as_str().len() == 65, "{key}");
            assert_eq!(key, QueueKey::of(strange));
            assert_eq!(QueueKey::of(key.as_str()), key, "what was stored is read as itself");
        }
    }

    #[test]
    fn run_ids_sort_by_time_and_keys_are_stable() {
        let early = RunId::at(Timestamp::from_millis(1_000), [255; 10]);
        let late = RunId::at(Timestamp::from_millis(1_001), [0; 10]);
        assert!(early < late);
        assert_eq!(RunId::named("order-42"), RunId::named("order-42"));
        assert_ne!(RunId::named("order-42"), RunId::named("order-43"));
        assert_eq!(RunId::named("order-42").to_string().parse::<RunId>().ok(), Some(RunId::named("order-42")));
    }
}
