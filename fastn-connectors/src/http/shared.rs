//! What all requests of a connector share.

use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::http::guard::Guard;

/// The client with its connections, and what holds for every request; [`exchange`](Shared::exchange) sends one.
pub(super) struct Shared {
    pub(super) client: reqwest::Client,
    /// The one under the client's resolver, for what does not go through a resolver.
    pub(super) guard: Guard,
    pub(super) headers: HeaderMap,
    pub(super) max_request_bytes: usize,
    pub(super) max_response_bytes: usize,
    pub(super) timeout: Duration,
    pub(super) redirects: u32,
}
