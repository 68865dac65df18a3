//! How runs are shown.

use fastn::core::{Error, ErrorKind, Result, Timestamp};
use fastn::store::{HELD, RunSummary};
use serde_json::{Value, json};

/// Where a run stands, in a word.
pub(crate) fn status(run: &RunSummary) -> &'static str {
    match run.status {
        _ if run.is_paused() => "paused",
        _ if run.is_held() => "held",
        status => status.as_str(),
    }
}

/// When something happens in it by itself, if ever.
pub(crate) fn wakes(run: &RunSummary) -> Option<Timestamp> {
    run.wake_at.filter(|time| *time < HELD)
}

pub(crate) fn summary(run: &RunSummary) -> Value {
    json!({
        "run": run.key.run,
        "tenant": run.key.tenant,
        "workflow": run.definition.workflow,
        "version": run.definition.version,
        "status": run.status.as_str(),
        "started": run.created_at.to_string(),
        "finished": run.finished_at.map(|time| time.to_string()),
        "wakes": wakes(run).map(|time| time.to_string()),
        "paused": run.is_paused(),
        "held": run.is_held(),
    })
}

pub(crate) fn print(value: &Value) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| Error::new(ErrorKind::Internal, "print").caused_by(e))
}

pub(crate) fn internal(error: std::fmt::Error) -> Error {
    Error::new(ErrorKind::Internal, "print").caused_by(error)
}
