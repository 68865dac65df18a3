//! Records of a run, for people and for programs.

use fastn::core::{Address, By, ContentType, Decision, Event, Failure, Outcome, Part, Payload, Plan, Record};
use serde_json::{Value, json};

/// An event in words. Without the plan nodes have no names, only numbers.
pub(crate) fn words(event: &Event, plan: Option<&Plan>) -> String {
    let node = |at: &Address| plan.map_or_else(|| format!("node {}", at.node.0), |plan| plan.path_at(at));
    let of = |at: &Address, part: &Part| match part {
        Part::Work => node(at),
        part => format!("{} of {}", part.as_str(), node(at)),
    };
    match event {
        Event::Started { at, attempt } => format!("{} begins attempt {attempt}", node(at)),
        Event::Succeeded { at, part, attempt, output } => {
            format!("{} succeeded in attempt {attempt}, {} bytes", of(at, part), output.len())
        }
        Event::Failed { at, part, attempt, failure, retry_at } => {
            let next = retry_at.map_or_else(String::new, |time| format!(", again at {time}"));
            format!("{} failed in attempt {attempt}: {}{next}", of(at, part), chain(failure))
        }
        Event::Sleeping { at, until } => format!("{} sleeps until {until}", node(at)),
        Event::Woke { at } => format!("{} woke", node(at)),
        Event::CancelRequested { reason, actor } => format!("cancel requested {}", said(reason, actor.as_deref())),
        Event::Waiting { at, until, .. } => match until {
            Some(until) => format!("{} waits until {until}", node(at)),
            None => format!("{} waits", node(at)),
        },
        Event::Signalled { signal, by, .. } => match by {
            Some(by) => format!("told {signal} {by}"),
            None => format!("told {signal}"),
        },
        Event::Child { at, run, .. } => format!("{} has started run {run}", node(at)),
        Event::Paused { by, .. } => format!("paused {by}"),
        Event::Resumed { by, .. } => format!("goes on {by}"),
        Event::Doubted { at, attempt } => {
            format!("the executor died during attempt {attempt} of {}: what became of it is not known", node(at))
        }
        Event::Decided { at, part, attempt, decision, by, .. } => {
            let what = match decision {
                Decision::Gave(output) => format!("gave {} bytes", output.len()),
                Decision::Failed(failure) => format!("failed: {}", chain(failure)),
                decision => decision.as_str().to_owned(),
            };
            format!("it was said of attempt {attempt} of {}: {what}; {by}", of(at, part))
        }
        Event::Expired => "the run's deadline passed".to_owned(),
        Event::Finished { outcome: Outcome::Stuck(failure) } => format!("stuck: {}", chain(failure)),
        Event::Finished { outcome } => outcome.to_string(),
        _ => "an event of a later version".to_owned(),
    }
}

fn said(reason: &str, actor: Option<&str>) -> By {
    By::new(actor.unwrap_or_default(), reason)
}

/// A failure with its causes.
fn chain(failure: &Failure) -> String {
    let causes: String = failure.chain.iter().map(|cause| format!("; because: {cause}")).collect();
    format!("{failure}{causes}")
}

/// A record as a JSON object: what happened, when, where, and with what.
pub(crate) fn fields_of(record: &Record, plan: Option<&Plan>) -> Value {
    let mut value = match &record.event {
        Event::Started { attempt, .. } => json!({"event": "started", "attempt": attempt}),
        Event::Succeeded { part, attempt, output, .. } => {
            json!({"event": "succeeded", "part": part.as_str(), "attempt": attempt, "output": value_of(output)})
        }
        Event::Failed { part, attempt, failure, retry_at, .. } => json!({
            "event": "failed",
            "part": part.as_str(),
            "attempt": attempt,
            "failure": failure,
            "retry_at": retry_at.map(|time| time.to_string()),
        }),
        Event::Sleeping { until, .. } => json!({"event": "sleeping", "until": until.to_string()}),
        Event::Woke { .. } => json!({"event": "woke"}),
        Event::CancelRequested { reason, actor } => {
            json!({"event": "cancel_requested", "by": said(reason, actor.as_deref()), "reason": reason})
        }
        Event::Waiting { attempt, until, .. } => {
            json!({"event": "waiting", "attempt": attempt, "until": until.map(|time| time.to_string())})
        }
        Event::Signalled { signal, value, by, .. } => {
            json!({"event": "signalled", "signal": signal, "value": value_of(value), "by": by})
        }
        Event::Child { attempt, run, .. } => json!({"event": "child", "attempt": attempt, "run": run}),
        Event::Paused { by, .. } => json!({"event": "paused", "by": by}),
        Event::Resumed { by, .. } => json!({"event": "resumed", "by": by}),
        Event::Doubted { attempt, .. } => json!({"event": "doubted", "attempt": attempt}),
        Event::Decided { part, attempt, decision, by, .. } => {
            let (output, failure) = match decision {
                Decision::Gave(output) => (Some(value_of(output)), None),
                Decision::Failed(failure) => (None, Some(failure)),
                _ => (None, None),
            };
            json!({"event": "decided", "part": part.as_str(), "attempt": attempt, "decision": decision.as_str(),
                "output": output, "failure": failure, "by": by})
        }
        Event::Expired => json!({"event": "expired"}),
        Event::Finished { outcome: how } => json!({"event": "finished", "outcome": outcome(how)}),
        _ => json!({"event": "unknown"}),
    };
    if let Value::Object(fields) = &mut value {
        fields.insert("time".to_owned(), record.time.to_string().into());
        if let Some(at) = record.event.address() {
            let node = plan.map_or_else(|| format!("node {}", at.node.0), |plan| plan.path_at(at));
            fields.insert("node".to_owned(), node.into());
        }
    }
    value
}

/// How a run ended, as a JSON object.
pub(crate) fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Succeeded(output) => json!({"status": "succeeded", "output": value_of(output)}),
        Outcome::Failed(failure) => json!({"status": "failed", "failure": failure}),
        Outcome::Cancelled(failure) => json!({"status": "cancelled", "failure": failure}),
        Outcome::Stuck(failure) => json!({"status": "stuck", "failure": failure}),
        _ => json!({"status": "unknown"}),
    }
}

/// A payload as JSON: itself if it is, and otherwise what it is and how large.
pub(crate) fn value_of(payload: &Payload) -> Value {
    let opaque = || json!({"content_type": payload.content().as_str(), "bytes": payload.len()});
    match payload.content() {
        ContentType::Json => payload.decode().unwrap_or_else(|_| opaque()),
        _ => opaque(),
    }
}

/// A text on one line: what failures say comes from anywhere, and must neither break lines nor steer the terminal.
pub(crate) fn one_line(text: &str) -> String {
    let show = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(show).collect()
}
