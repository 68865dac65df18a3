//! Requests and responses as flows see them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use fastn_core::Op;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::base64_text;

/// Sends a request and gives the response, as [`Http`](crate::http::Http) does.
pub const REQUEST: Op<Request, Response> = Op::new("http", "request");

/// A request. In JSON: `{"method": "POST", "url": "https://api.example.com/orders", "body": {"json": {"id": 7}}}`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Request {
    /// The method, `GET` if absent (RFC 9110, section 9). `CONNECT` and `TRACE` are refused.
    #[serde(default = "get")]
    pub method: String,
    /// An absolute `http` or `https` URL without user and password, which belong into a header.
    pub url: String,
    /// Header fields. Those that frame the message (`Host`, `Content-Length`, `Transfer-Encoding`, `Connection` and
    /// their kin) are refused. `Idempotency-Key` is added to methods that are not safe, unless it is here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body; its `Content-Type` is added unless it is among the headers.
    #[serde(default, skip_serializing_if = "Body::is_none")]
    pub body: Body,
    /// The longest this request may take, redirects and body included, in milliseconds. The connector's own limit and
    /// the step's deadline hold as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The only statuses that are a success; if empty, all below 400 are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect_status: Vec<u16>,
}

fn get() -> String {
    "GET".to_owned()
}

impl Request {
    /// A request of this method.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: BTreeMap::new(),
            body: Body::None,
            timeout_ms: None,
            expect_status: Vec::new(),
        }
    }

    /// A `GET` request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A `POST` request.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// The same with this header field.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// The same with this body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// The same with a JSON body.
    #[must_use]
    pub fn json(self, value: Value) -> Self {
        self.body(Body::Json(value))
    }

    /// The same, to be given up after this time.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout_ms = Some(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// The same, with this status as a success; may be called for several.
    #[must_use]
    pub fn expect(mut self, status: u16) -> Self {
        self.expect_status.push(status);
        self
    }
}

impl fmt::Debug for Request {
    /// Without values: headers, bodies and queries hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.split(['?', '#']).next().unwrap_or_default();
        write!(f, "{} {url}, headers {:?}, {:?}", self.method, self.headers.keys(), self.body)
    }
}

/// What came back.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Response {
    /// The status (RFC 9110, section 15).
    pub status: u16,
    /// The URL that answered: another than the request's after a redirect.
    pub url: String,
    /// Header fields by lower-case name. Several of one name are joined with a comma (RFC 9110, section 5.3), except
    /// `set-cookie`, which has one per line. What is not UTF-8 is replaced by U+FFFD.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body: JSON if it is declared as JSON and is, else text if it is UTF-8, else bytes.
    #[serde(default, skip_serializing_if = "Body::is_none")]
    pub body: Body,
}

impl fmt::Debug for Response {
    /// Without values, as for [`Request`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, headers {:?}, {:?}", self.status, self.headers.keys(), self.body)
    }
}

/// The content of a request or response. In JSON: `{"json": ...}`, `{"text": "..."}`, `{"base64": "..."}`, or absent.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Body {
    /// No content.
    #[default]
    None,
    /// `application/json` (RFC 8259).
    Json(Value),
    /// `text/plain; charset=utf-8`.
    Text(String),
    /// `application/octet-stream`, in JSON as base64 (RFC 4648, section 4).
    #[serde(rename = "base64", with = "base64_text")]
    Bytes(Vec<u8>),
}

impl Body {
    /// Whether there is no content.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no body"),
            Self::Json(_) => f.write_str("a JSON body"),
            Self::Text(text) => write!(f, "{} bytes of text", text.len()),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}
