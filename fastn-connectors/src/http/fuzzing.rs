//! Doors to private parsers, for fastn-fuzz. No part of the interface: they come and go.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use fastn_core::Failure;
use reqwest::header::{HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::http::guard::Guard;
use crate::http::prepare::Hop;
use crate::http::{Body, address, body, retry_after as wait};

/// What an address is, if it is no public one.
pub fn special_address(address: IpAddr) -> Option<String> {
    address::special(address).map(|special| special.to_string())
}

/// Whether the guard lets a URL pass; `None` if it is none, or if what is to be allowed is none.
pub fn allowed(allow: Option<&str>, local: bool, url: &str) -> Option<bool> {
    let mut guard = Guard::default();
    if let Some(target) = allow {
        guard.allow(target)?;
    }
    if local {
        guard.allow_local();
    }
    Some(guard.check_url(&Url::parse(url).ok()?).is_ok())
}

/// How long a `Retry-After` asks to wait.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    wait::wait(value, now)
}

/// What was received under this media type.
pub fn received(media_type: Option<&str>, bytes: Vec<u8>) -> Body {
    Body::from_bytes(media_type, bytes)
}

/// What an error quotes of a body.
pub fn excerpt(bytes: &[u8]) -> String {
    body::excerpt(bytes)
}

/// The request after a redirect.
#[derive(Debug)]
pub struct Next {
    /// Its target.
    pub url: Url,
    /// Its method.
    pub method: String,
    /// The names of its fields.
    pub headers: Vec<String>,
    /// Whether it has a body.
    pub has_body: bool,
}

/// What follows a request with a body and credentials; `None` if method, status or location cannot be.
pub fn redirect(method: &str, asked: &Url, status: u16, location: &[u8]) -> Option<Result<Option<Next>, Failure>> {
    let mut headers = HeaderMap::new();
    for name in ["authorization", "cookie", "x-api-key", "accept", "content-type"] {
        headers.insert(name, HeaderValue::from_static("v"));
    }
    let hop = Hop { method: Method::from_bytes(method.as_bytes()).ok()?, url: asked.clone(), headers, body: vec![1] };
    let mut answer = HeaderMap::new();
    answer.insert(LOCATION, HeaderValue::from_bytes(location).ok()?);
    let next = match super::redirect::next(&hop, StatusCode::from_u16(status).ok()?, &answer) {
        Ok(next) => next,
        Err(error) => return Some(Err(error.into_failure())),
    };
    Some(Ok(next.map(|hop| Next {
        method: hop.method.to_string(),
        headers: hop.headers.keys().map(ToString::to_string).collect(),
        has_body: !hop.body.is_empty(),
        url: hop.url,
    })))
}
