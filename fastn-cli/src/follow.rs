//! What happens in a run, line by line, for people.

use std::time::Duration;

use fastn::core::{Outcome, Part, Result};
use fastn::prelude::*;
use fastn::runtime::RunEvents;
use serde_json::Value;

use crate::engines::interrupted;
use crate::record::{one_line, value_of};
use crate::said::tell;

/// Why nobody waits any more.
pub(crate) enum End {
    Over(Outcome),
    TimedOut,
    Interrupted,
}

/// Waits for the end of a run, and tells what happens until then.
pub(crate) async fn follow(run: &RunHandle<Value>, mut events: RunEvents, most: Option<Duration>) -> Result<End> {
    let telling = async {
        while let Some(event) = events.next().await {
            if let Some(line) = line(&event) {
                tell(one_line(&line));
            }
        }
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

fn line(event: &RunEvent) -> Option<String> {
    let of = |node: &str, part: &Part| match part {
        Part::Work => node.to_owned(),
        part => format!("{} of {node}", part.as_str()),
    };
    Some(match event {
        RunEvent::Started { node, part, attempt } if attempt.0 == 1 => format!("  {} ...", of(node, part)),
        RunEvent::Started { node, part, attempt } => format!("  {} ... attempt {attempt}", of(node, part)),
        RunEvent::Succeeded { node, part } => format!("  {} done", of(node, part)),
        RunEvent::Failed { node, part, failure } => {
            format!("  {} failed: {} ({})", of(node, part), failure.message, failure.kind)
        }
        RunEvent::Progress { node, data } => format!("  {node}: {}", value_of(data)),
        RunEvent::Missed(count) => format!("  {count} events were missed"),
        _ => return None,
    })
}
