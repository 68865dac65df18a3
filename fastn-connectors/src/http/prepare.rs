//! From a request as a flow writes it to one that can be sent.

use fastn_core::{FailureKind, StepCx, StepError};
use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::connector::permanent;
use crate::http::Request;
use crate::http::shared::Shared;

/// A request on its way to one target.
#[derive(Clone)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Hop {
    /// Who is asked for what, without what may be secret in the URL.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.method, bare(&self.url))
    }

    /// The client's form of it.
    pub(super) fn to_client(&self) -> reqwest::Request {
        let mut request = reqwest::Request::new(self.method.clone(), self.url.clone());
        *request.headers_mut() = self.headers.clone();
        if !self.body.is_empty() {
            *request.body_mut() = Some(self.body.clone().into());
        } else if matches!(self.method, Method::POST | Method::PUT | Method::PATCH) {
            // Some servers insist (RFC 9110, section 8.6), and the client leaves it out.
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        request
    }
}

/// A URL without query and fragment.
fn bare(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// Checks a request and fills in what it leaves open.
pub(super) fn prepare(shared: &Shared, cx: &StepCx, request: &Request) -> Result<Hop, StepError> {
    let url = Url::parse(&request.url).map_err(|error| invalid(format!("the URL cannot be read: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("user and password do not belong into a URL but into a header"));
    }
    let method = Method::from_bytes(request.method.to_ascii_uppercase().as_bytes())
        .ok()
        .filter(|method| !matches!(*method, Method::CONNECT | Method::TRACE))
        .ok_or_else(|| invalid(format!("{:?} is no method that can be sent", request.method)))?;

    let mut headers = shared.headers.clone();
    for (name, value) in &request.headers {
        let (name, value) = field(name, value)?;
        headers.insert(name, value);
    }
    if let Some(media_type) = request.body.media_type() {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(media_type));
    }
    if !method.is_safe() {
        let key = idempotency_key(cx);
        let value = HeaderValue::try_from(key).map_err(|error| invalid(error.to_string()))?;
        headers.entry(IDEMPOTENCY_KEY).or_insert(value);
    }

    let body = request.body.to_bytes().map_err(|error| invalid(format!("the body is not JSON: {error}")))?;
    if body.len() > shared.max_request_bytes {
        let message = format!("a body of {} bytes, {} are allowed", body.len(), shared.max_request_bytes);
        return Err(permanent(FailureKind::TOO_LARGE.as_str().to_owned(), message));
    }
    Ok(Hop { method, url, headers, body })
}

/// draft-ietf-httpapi-idempotency-key-header.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The fields that say where a message goes and where it ends, or that are for one connection only (RFC 9110, section
/// 7.6.1). Those of a caller could smuggle a second request past the first.
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), StepError> {
    let parsed = HeaderName::try_from(name).map_err(|_| invalid(format!("{name:?} is no name of a header field")))?;
    if FRAMING.contains(&parsed.as_str()) {
        return Err(invalid(format!("the header field {parsed} is not the caller's to set")));
    }
    // The value may be a secret: the message tells the name only.
    let mut value =
        HeaderValue::try_from(value).map_err(|_| invalid(format!("the value of the header field {parsed} is none")))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

/// The step's key as a field value: services limit its length, often to 255, and nodes may have any name.
fn idempotency_key(cx: &StepCx) -> String {
    let key = cx.info().idempotency_key();
    if key.len() <= 255 && key.bytes().all(|b| b.is_ascii_graphic()) {
        return key;
    }
    format!("{}/{}", cx.info().run, blake3::hash(key.as_bytes()).to_hex())
}

fn invalid(message: impl Into<String>) -> StepError {
    permanent(FailureKind::INVALID.as_str().to_owned(), message)
}
