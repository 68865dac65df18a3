//! What went wrong, as the failure the engine decides by.

use std::error::Error;
use std::time::{Duration, SystemTime};

use fastn_core::{Failure, FailureKind, StepError};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::connector::{permanent, transient};
use crate::http::guard::Forbidden;
use crate::http::retry_after;

/// The kind of a failure to get a connection: the request has not been sent.
pub const UNREACHABLE: &str = "http_unreachable";
/// The kind of a failure on a connection: whether the request was acted on is not known.
pub const BROKEN: &str = "http_broken";
/// The kind of a failure because of a target the guard does not allow.
pub const FORBIDDEN_TARGET: &str = "forbidden_target";
/// The kind of a failure because of too many redirects, or one that leads nowhere.
pub const REDIRECT: &str = "http_redirect";

/// A target that was refused before a connection was tried.
pub(super) fn forbidden(what: &str, why: &Forbidden) -> StepError {
    permanent(FORBIDDEN_TARGET, format!("{what} is not allowed: {why}"))
}

/// An answer, or a part of it, that did not come in time.
pub(super) fn too_slow(what: &str, limit: Duration) -> StepError {
    transient(FailureKind::TIMEOUT.as_str().to_owned(), format!("{what} took longer than {limit:?}"))
}

/// A body that is larger than allowed.
pub(super) fn too_large(what: &str, max: usize) -> StepError {
    permanent(FailureKind::TOO_LARGE.as_str().to_owned(), format!("{what} answered with more than {max} bytes"))
}

/// What the client could not do.
pub(super) fn client_error(what: &str, error: reqwest::Error) -> StepError {
    if let Some(why) = forbidden_in(&error) {
        return forbidden(what, why);
    }
    let (kind, problem) = if error.is_timeout() {
        (FailureKind::TIMEOUT, "no connection in time")
    } else if error.is_connect() {
        (UNREACHABLE.into(), "no connection")
    } else {
        (BROKEN.into(), "the connection broke")
    };
    let permanent = error.is_builder();
    let mut failure = Failure::new(kind, format!("{what}: {problem}"));
    // The URL may hold secrets.
    failure.chain = {
        let inner = StepError::new(error.without_url()).into_failure();
        std::iter::once(inner.message).chain(inner.chain).collect()
    };
    failure.permanent = permanent;
    StepError::from_failure(failure)
}

/// The guard speaks from inside the client, which wraps what it says.
fn forbidden_in(error: &reqwest::Error) -> Option<&Forbidden> {
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(cause) = next {
        if let Some(forbidden) = cause.downcast_ref::<Forbidden>() {
            return Some(forbidden);
        }
        next = cause.source();
    }
    None
}

/// A status that is not a success. `excerpt` is the beginning of what was said about it.
pub(super) fn status_error(what: &str, status: StatusCode, headers: &HeaderMap, excerpt: &str) -> StepError {
    let kind = format!("http_{}", status.as_u16());
    let colon = if excerpt.is_empty() { "" } else { ": " };
    let message = format!("{what} answered {status}{colon}{excerpt}");
    if !(status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)) {
        return permanent(kind, message);
    }
    let wait = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| retry_after::wait(value, SystemTime::now()));
    let error = transient(kind, message);
    match wait {
        Some(wait) => error.retry_after(wait),
        None => error,
    }
}
