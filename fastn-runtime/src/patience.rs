//! Asking a store again while it is unavailable.

use std::time::Duration;

use fastn_core::Result;

use crate::clock::{Clock, pause};

/// Makes a call, again with growing waits while the store is unavailable and patience lasts. It must do no harm to make it
/// more than once.
///
/// # Errors
/// Those of the last call.
pub(crate) async fn patiently<T, F: Future<Output = Result<T>>>(
    clock: &dyn Clock,
    patience: Duration,
    mut call: impl FnMut() -> F,
) -> Result<T> {
    let began = clock.uptime();
    let mut wait = Duration::from_millis(5);
    loop {
        match call().await {
            Err(error) if error.is_transient() && clock.uptime().saturating_sub(began) < patience => {
                tracing::warn!(error = ?error, "the store is unavailable; trying again");
                pause(clock, wait).await;
                wait = (wait * 2).min(Duration::from_secs(1));
            }
            result => return result,
        }
    }
}
