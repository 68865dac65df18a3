//! Looks for the ends of runs that others have, for those who wait for them here.

use std::sync::Arc;
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result};
use fastn_store::RunKey;

use super::core::Core;
use crate::clock::pause;

/// How often to look where nothing was heard.
const POLL: Duration = Duration::from_secs(2);

/// How long to leave the store alone after a look, at least, and how many times as long as the look took: there may be much
/// to hear, and many to look for.
const APART: Duration = Duration::from_millis(20);
const TIMES: u32 = 10;

/// How many runs are looked up at a time.
const PAGE: usize = 512;

/// Looks as long as the engine lives.
pub(super) async fn run(core: Arc<Core>) {
    let clock = &*core.services.clock;
    loop {
        let awaited = core.awaited();
        if awaited.is_empty() {
            core.bells.ends.notified().await;
            continue;
        }
        let began = clock.uptime();
        for page in awaited.chunks(PAGE) {
            match look(&core, page).await {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Closed => return,
                Err(error) => tracing::warn!(error = ?error, "the ends of runs could not be looked for; trying again"),
            }
        }
        let took = clock.uptime().saturating_sub(began);
        pause(clock, (took * TIMES).clamp(APART, POLL)).await;
        tokio::select! {
            biased;
            () = core.bells.ends.notified() => {}
            () = pause(clock, POLL) => {}
        }
    }
}

async fn look(core: &Core, keys: &[RunKey]) -> Result<()> {
    let store = core.services.store()?;
    for (key, run) in keys.iter().zip(store.summaries(keys).await?) {
        let Some(run) = run else {
            // It was there when somebody began to wait: it ended, and was pruned since.
            core.refuse(key, Error::new(ErrorKind::NotFound, "await run").with("run", key.run));
            continue;
        };
        if !run.status.is_final() {
            continue;
        }
        match store.read(key).await {
            Ok(history) => {
                if let Some(outcome) = history.as_ref().and_then(|history| history.outcome()) {
                    core.tell_end(key, Ok(outcome.clone()));
                }
            }
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => core.refuse(key, error),
        }
    }
    Ok(())
}
