//! A request, its redirects, and the response.

use std::collections::BTreeMap;
use std::time::Duration;

use fastn_core::{StepCx, StepError};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use tokio::time::{Instant, timeout};

use crate::connector::permanent;
use crate::http::body::excerpt;
use crate::http::outcome::{REDIRECT, client_error, forbidden, status_error, too_large, too_slow};
use crate::http::prepare::{Hop, prepare};
use crate::http::shared::Shared;
use crate::http::{Body, Request, Response, redirect};

/// How much of the body of an error is read, and for how long: enough for people, and no reason to lose the status.
const EXCERPT: (usize, Duration) = (4 * 1024, Duration::from_secs(1));

impl Shared {
    pub(super) async fn exchange(&self, cx: &StepCx, request: Request) -> Result<Response, StepError> {
        let first = prepare(self, cx, &request)?;
        let what = first.shown();
        let limit = self.limit(cx, &request);
        if limit.is_zero() {
            // A timeout looks at the clock only after the first step of what it limits.
            return Err(too_slow(&what, limit));
        }
        let started = Instant::now();
        let answer = async {
            let (hop, response) = self.follow(first).await?;
            self.receive(&hop, response, &request.expect_status, limit.saturating_sub(started.elapsed())).await
        };
        match timeout(limit, answer).await {
            Ok(result) => result,
            Err(_) => Err(too_slow(&what, limit)),
        }
    }

    /// The shortest of what the connector, the request and the step allow.
    fn limit(&self, cx: &StepCx, request: &Request) -> Duration {
        let of_step = cx.time_left();
        let of_request = request.timeout_ms.map(Duration::from_millis);
        [of_step, of_request].into_iter().flatten().fold(self.timeout, Duration::min)
    }

    /// Asks, and asks where redirected to.
    async fn follow(&self, mut hop: Hop) -> Result<(Hop, reqwest::Response), StepError> {
        let mut followed = 0;
        loop {
            let what = hop.shown();
            self.guard.check_url(&hop.url).map_err(|why| forbidden(&what, &why))?;
            let response = self.client.execute(hop.to_client()).await.map_err(|error| client_error(&what, error))?;
            if self.redirects == 0 {
                return Ok((hop, response));
            }
            match redirect::next(&hop, response.status(), response.headers())? {
                None => return Ok((hop, response)),
                Some(_) if followed == self.redirects => {
                    return Err(permanent(REDIRECT, format!("{what} is the end of {followed} redirects and one more")));
                }
                Some(next) => hop = next,
            }
            followed += 1;
        }
    }

    async fn receive(
        &self,
        hop: &Hop,
        mut response: reqwest::Response,
        expected: &[u16],
        left: Duration,
    ) -> Result<Response, StepError> {
        let status = response.status();
        let success = if expected.is_empty() { status.as_u16() < 400 } else { expected.contains(&status.as_u16()) };
        if !success {
            let headers = response.headers().clone();
            let said = excerpt(&beginning(&mut response, left).await);
            return Err(status_error(&hop.shown(), status, &headers, &said));
        }
        let headers = fields(response.headers());
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let bytes = self.collect(hop, &mut response).await?;
        let body = Body::from_bytes(media_type.as_deref(), bytes);
        Ok(Response { status: status.as_u16(), url: hop.url.to_string(), headers, body })
    }

    /// The whole body, or a failure before more than the limit is held.
    async fn collect(&self, hop: &Hop, response: &mut reqwest::Response) -> Result<Vec<u8>, StepError> {
        let max = self.max_response_bytes;
        let announced = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
        if announced > max {
            return Err(too_large(&hop.shown(), max));
        }
        let mut bytes = Vec::with_capacity(announced);
        while let Some(chunk) = response.chunk().await.map_err(|error| client_error(&hop.shown(), error))? {
            // The announcement may be missing.
            if chunk.len() > max - bytes.len() {
                return Err(too_large(&hop.shown(), max));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// The beginning of a body nobody needs: whatever of it comes soon enough.
async fn beginning(response: &mut reqwest::Response, left: Duration) -> Vec<u8> {
    let (most, longest) = EXCERPT;
    let mut bytes = Vec::new();
    // Some time is kept for returning the status: a slow body must not turn it into a timeout.
    let until = longest.min(left / 2);
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = most - bytes.len();
            bytes.extend(chunk.iter().take(room));
            if bytes.len() == most {
                break;
            }
        }
    };
    // Too slow is no problem of its own here: what has come is enough.
    let _ = timeout(until, read).await;
    bytes
}

fn fields(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let separator = if name.as_str() == "set-cookie" { "\n" } else { ", " };
        match fields.get_mut(name.as_str()) {
            Some(joined) => {
                joined.push_str(separator);
                joined.push_str(&value);
            }
            None => {
                fields.insert(name.as_str().to_owned(), value.into_owned());
            }
        }
    }
    fields
}
