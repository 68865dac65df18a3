//! Requests to web services.
//!
//! Bodies are bounded both ways, every request has a deadline, and a guard keeps flows from reaching what only this
//! machine or its network can reach: see [`Builder::allow`]. Nothing is retried here; what may be gone next time is
//! returned as a failure the engine's retry policy applies to:
//!
//! | what happened | kind | retried |
//! |---|---|---|
//! | no connection (name not found, refused, TLS) | [`UNREACHABLE`] | yes |
//! | the connection broke, or the answer is not HTTP | [`BROKEN`] | yes |
//! | too slow | [`TIMEOUT`](fastn_core::FailureKind::TIMEOUT) | yes |
//! | status 408, 425, 429, 5xx | `http_503` and so on | yes, not before `Retry-After` (at most [`MAX_RETRY_AFTER`]) |
//! | any other status of 400 and above, or one that was not expected | `http_404` and so on | no |
//! | a body larger than allowed | [`TOO_LARGE`](fastn_core::FailureKind::TOO_LARGE) | no |
//! | a target that is not allowed | [`FORBIDDEN_TARGET`] | no |
//! | redirects without end or sense | [`REDIRECT`] | no |
//! | a request that is none | [`INVALID`](fastn_core::FailureKind::INVALID) | no |
//!
//! Compressed answers are not asked for. No cookies are kept, and no proxy is taken from the environment.

mod address;
mod base64_text;
mod body;
mod builder;
mod exchange;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod message;
mod outcome;
mod prepare;
mod redirect;
mod retry_after;
mod shared;

pub use crate::http::builder::{Builder, Http};
pub use crate::http::guard::Resolve;
pub use crate::http::message::{Body, REQUEST, Request, Response};
pub use crate::http::outcome::{BROKEN, FORBIDDEN_TARGET, REDIRECT, UNREACHABLE};
pub use crate::http::retry_after::MAX_RETRY_AFTER;
