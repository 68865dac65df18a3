//! Requests to servers on the loopback, well-behaved and hostile.

mod answers;
mod guard;
mod limits;
mod requests;
mod server;
mod tls;

use std::time::Duration;

use fastn_connectors::http::{Builder, Http, Request, Response};
use fastn_core::{Failure, StepError};

use crate::step::{cx, failure};

/// The connector as these tests need it: with the loopback allowed, and quick to give up.
fn builder() -> Builder {
    Http::builder().allow("127.0.0.0/8").timeout(Duration::from_secs(20))
}

async fn send(request: Request) -> Result<Response, StepError> {
    builder().build().expect("the settings are fine").send(&cx(), request).await
}

async fn fails(request: Request) -> Failure {
    failure(send(request).await)
}
