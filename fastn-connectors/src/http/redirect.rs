//! Where a redirect leads, and what may come along (RFC 9110, section 15.4).

use fastn_core::StepError;
use reqwest::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION,
    USER_AGENT,
};
use reqwest::{Method, StatusCode};

use crate::connector::permanent;
use crate::http::outcome::{FORBIDDEN_TARGET, REDIRECT};
use crate::http::prepare::{Hop, IDEMPOTENCY_KEY};

/// All that may follow to another origin. Any other field may be a credential, whatever it is called.
const HARMLESS: [HeaderName; 7] =
    [ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, USER_AGENT, IDEMPOTENCY_KEY];

/// The next hop, or `None` if the response is not a redirect.
pub(super) fn next(hop: &Hop, status: StatusCode, headers: &HeaderMap) -> Result<Option<Hop>, StepError> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = headers.get(LOCATION) else { return Ok(None) };
    let mut url = location
        .to_str()
        .ok()
        .and_then(|location| hop.url.join(location).ok())
        .ok_or_else(|| permanent(REDIRECT, format!("{} was redirected to what is no URL", hop.shown())))?;
    // Credentials of the server's choice would end up in a header.
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return Err(permanent(REDIRECT, format!("{} was redirected to a URL without a host", hop.shown())));
    }
    if hop.url.scheme() == "https" && url.scheme() != "https" {
        let message = format!("{} was redirected from https to {}", hop.shown(), url.scheme());
        return Err(permanent(FORBIDDEN_TARGET, message));
    }

    let mut next = Hop { url, ..hop.clone() };
    let becomes_get = match status.as_u16() {
        303 => next.method != Method::HEAD,
        301 | 302 => next.method == Method::POST,
        _ => false,
    };
    if becomes_get {
        next.method = Method::GET;
        next.body.clear();
        for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, IDEMPOTENCY_KEY] {
            next.headers.remove(name);
        }
    }
    if next.url.origin() != hop.url.origin() {
        let names: Vec<HeaderName> = next.headers.keys().filter(|name| !HARMLESS.contains(name)).cloned().collect();
        for name in names {
            next.headers.remove(name);
        }
    }
    Ok(Some(next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn follow(method: Method, from: &str, status: u16, location: &str) -> Result<Option<Hop>, StepError> {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "cookie", "x-api-key", "accept", "content-type"] {
            headers.insert(name, HeaderValue::from_static("v"));
        }
        let hop = Hop { method, url: from.parse().expect("a URL"), headers, body: b"body".to_vec() };
        let mut answer = HeaderMap::new();
        answer.insert(LOCATION, HeaderValue::try_from(location).expect("a field value"));
        next(&hop, StatusCode::from_u16(status).expect("a status"), &answer)
    }

    #[test]
    fn methods_and_bodies_follow_the_status() {
        let check = |method: Method, status, expected: Method, with_body: bool| {
            let next = follow(method, "http://a.test/x", status, "/y").expect("it is fine").expect("it is a redirect");
            assert_eq!((&next.method, next.body.is_empty()), (&expected, !with_body), "{status}");
            assert_eq!(next.headers.contains_key(CONTENT_TYPE), with_body, "{status}");
            assert_eq!(next.url.as_str(), "http://a.test/y");
            assert!(next.headers.contains_key("authorization"), "the origin is the same");
        };
        check(Method::POST, 301, Method::GET, false);
        check(Method::POST, 302, Method::GET, false);
        check(Method::PUT, 302, Method::PUT, true);
        check(Method::PUT, 303, Method::GET, false);
        check(Method::HEAD, 303, Method::HEAD, true);
        check(Method::POST, 307, Method::POST, true);
        check(Method::DELETE, 308, Method::DELETE, true);
        assert!(matches!(follow(Method::GET, "http://a.test/", 300, "/y"), Ok(None)));
        assert!(matches!(follow(Method::GET, "http://a.test/", 304, "/y"), Ok(None)));
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        for location in ["http://b.test/", "http://a.test:81/", "https://a.test/", "//b.test/", "http://u:p@b.test/"] {
            let next = follow(Method::POST, "http://a.test/", 307, location).expect("it is fine").expect("a redirect");
            let mut names: Vec<&str> = next.headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, ["accept", "content-type"], "{location}");
            assert_eq!((next.url.username(), next.url.password()), ("", None), "{location}");
        }
    }

    #[test]
    fn downgrades_and_nonsense_are_refused() {
        let kind = |from, location| match follow(Method::GET, from, 302, location) {
            Err(error) => error.into_failure().kind.as_str().to_owned(),
            Ok(_) => "ok".to_owned(),
        };
        assert_eq!(kind("https://a.test/", "http://a.test/"), "forbidden_target");
        assert_eq!(kind("https://a.test/", "https://b.test/"), "ok");
        assert_eq!(kind("http://a.test/", "http://[oops/"), "http_redirect");
        assert_eq!(kind("http://a.test/", "mailto:x@a.test"), "http_redirect");
    }
}
