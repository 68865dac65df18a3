//! Values on their way between steps, and at rest.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, ErrorKind, Result};

/// The media type of a payload (RFC 9110, section 8.3).
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentType {
    /// `application/json` (RFC 8259): what typed values are encoded as.
    Json,
    /// `application/octet-stream`: bytes of unknown meaning.
    Bytes,
    /// Any other media type.
    Other(Arc<str>),
}

impl ContentType {
    /// The media type as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Json => "application/json",
            Self::Bytes => "application/octet-stream",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for ContentType {
    fn from(name: &str) -> Self {
        match name {
            "application/json" => Self::Json,
            "application/octet-stream" => Self::Bytes,
            other => Self::Other(Arc::from(other)),
        }
    }
}

impl fmt::Debug for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Bytes with a media type. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Payload {
    content: ContentType,
    bytes: Bytes,
}

impl Payload {
    /// Bytes of this media type, taken as they are.
    pub fn new(content: ContentType, bytes: impl Into<Bytes>) -> Self {
        Self { content, bytes: bytes.into() }
    }

    /// JSON text, taken as it is.
    pub fn json(text: impl Into<Bytes>) -> Self {
        Self::new(ContentType::Json, text)
    }

    /// JSON `null`: the value of a step that returns nothing.
    pub const fn null() -> Self {
        Self { content: ContentType::Json, bytes: Bytes::from_static(b"null") }
    }

    /// Encodes a value as JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the value cannot be written as JSON (a map whose keys are not strings, say).
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        serde_json::to_vec(value).map(Self::json).map_err(|e| {
            Error::new(ErrorKind::Invalid, "encode value").with("type", std::any::type_name::<T>()).caused_by(e)
        })
    }

    /// Decodes the JSON in it as a `T`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is not JSON or not a `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        let wrong = || Error::new(ErrorKind::Invalid, "decode value").with("type", std::any::type_name::<T>());
        if self.content != ContentType::Json {
            return Err(wrong().with("content", self.content.as_str()));
        }
        serde_json::from_slice(&self.bytes).map_err(|e| wrong().caused_by(e))
    }

    /// Whether two payloads hold the same value: the same bytes, or the same JSON but for white space and the order of
    /// members, which need not be the same each time a map is written.
    pub fn is_same_value(&self, other: &Self) -> bool {
        let json = |payload: &Self| serde_json::from_slice::<serde_json::Value>(&payload.bytes).ok();
        self == other
            || (self.content == ContentType::Json
                && other.content == ContentType::Json
                && json(self).is_some_and(|value| json(other) == Some(value)))
    }

    /// The media type.
    pub fn content(&self) -> &ContentType {
        &self.content
    }

    /// The bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no bytes at all (which is not JSON).
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl fmt::Debug for Payload {
    /// The media type and size only: values may be private, and logs are not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {} bytes", self.content, self.bytes.len())
    }
}

impl<C> Encode<C> for Payload {
    /// JSON, by far the most frequent, is a plain byte string; others are a pair of media type and byte string.
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match &self.content {
            ContentType::Json => e.bytes(&self.bytes)?.ok(),
            other => e.array(2)?.str(other.as_str())?.bytes(&self.bytes)?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for Payload {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.datatype()? == minicbor::data::Type::Bytes {
            return Ok(Self::json(Bytes::copy_from_slice(d.bytes()?)));
        }
        if d.array()? != Some(2) {
            return Err(minicbor::decode::Error::message("a payload is a byte string or a pair"));
        }
        let content = ContentType::from(d.str()?);
        Ok(Self::new(content, Bytes::copy_from_slice(d.bytes()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_survive_their_encoding() {
        for payload in [
            Payload::null(),
            Payload::json(""),
            Payload::encode(&"\u{0}\u{10FFFF}").expect("text is JSON"),
            Payload::new(ContentType::Bytes, vec![0, 255]),
            Payload::new("image/png".into(), vec![1; 100_000]),
        ] {
            let bytes = minicbor::to_vec(&payload).expect("memory does not fail");
            assert_eq!(minicbor::decode::<Payload>(&bytes).expect("what was encoded decodes"), payload);
        }
    }

    #[test]
    fn a_float_arrives_as_it_was_sent() {
        // A parser in a hurry reads the last of them one unit in the last place off.
        for float in [0.1, f64::MIN_POSITIVE, f64::MAX, 1.844_684_468_446_844_6e37] {
            let sent = Payload::encode(&float).expect("a number is JSON");
            assert_eq!(sent.decode::<f64>().expect("a number"), float);
        }
    }

    #[test]
    fn the_order_of_members_is_no_part_of_a_value() {
        let same = |a: &'static str, b: &'static str| Payload::json(a).is_same_value(&Payload::json(b));
        assert!(same(r#"{"a":1,"b":[2]}"#, r#"{ "b": [2], "a": 1 }"#));
        assert!(!same("[1,2]", "[2,1]"));
        assert!(!same("9007199254740992", "9007199254740993"));
        assert!(same("not JSON", "not JSON") && !same("not JSON", "nor this"));
        assert!(!Payload::json("1").is_same_value(&Payload::new(ContentType::Bytes, "1")));
    }

    #[test]
    fn a_wrong_type_is_named() {
        let error = Payload::json("\"x\"").decode::<u32>().expect_err("a text is not a number");
        assert_eq!(error.to_string(), "decode value: invalid (type u32)");
        assert!(Payload::new(ContentType::Bytes, "1").decode::<u32>().is_err());
    }
}
