//! Waiting for the end of a run.

use std::time::Duration;

use fastn::core::{Outcome, Plan, Result};
use fastn::prelude::*;
use fastn::runtime::RunEvents;
use serde_json::Value;

use crate::engines::interrupted;
use crate::progress::Progress;

/// Why nobody waits any more.
pub(crate) enum End {
    Over(Outcome),
    TimedOut,
    Interrupted,
}

/// Waits for the end of a run of this plan, and shows what happens until then.
pub(crate) async fn follow(
    run: &RunHandle<Value>,
    mut events: RunEvents,
    plan: &Plan,
    most: Option<Duration>,
) -> Result<End> {
    let telling = async {
        let mut progress = Progress::of(plan);
        while let Some(event) = events.next().await {
            progress.show(&event);
        }
        drop(progress);
        run.outcome().await
    };
    tokio::select! {
        biased;
        () = interrupted() => Ok(End::Interrupted),
        outcome = telling => outcome.map(End::Over),
        () = after(most) => Ok(End::TimedOut),
    }
}

/// Waits for the end of a run that another process may have.
pub(crate) async fn end(run: &RunHandle<Value>, most: Option<Duration>) -> Result<End> {
    tokio::select! {
        biased;
        () = interrupted() => Ok(End::Interrupted),
        outcome = run.outcome() => outcome.map(End::Over),
        () = after(most) => Ok(End::TimedOut),
    }
}

async fn after(most: Option<Duration>) {
    match most {
        Some(most) => tokio::time::sleep(most).await,
        None => std::future::pending().await,
    }
}
