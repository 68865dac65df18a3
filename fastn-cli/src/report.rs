//! How a run stands, for programs and for people.

use fastn::core::{Failure, Outcome, Result, RunId};
use serde_json::{Value, json};

use crate::args::Output;
use crate::record::{one_line, value_of};
use crate::said::{Exit, say, tell};

/// A run and how it stands.
pub(crate) struct Report<'a> {
    pub(crate) run: RunId,
    pub(crate) workflow: &'a str,
    /// How it ended; `None` if it has not.
    pub(crate) outcome: Option<&'a Outcome>,
}

impl Report<'_> {
    /// Says it, and how the command ends.
    pub(crate) fn say(&self, output: Output) -> Result<Exit> {
        let (status, exit, value, failure) = match self.outcome {
            None => ("waiting", Exit::Waiting, Value::Null, None),
            Some(Outcome::Succeeded(output)) => ("succeeded", Exit::Well, value_of(output), None),
            Some(Outcome::Cancelled(failure)) => ("cancelled", Exit::Cancelled, Value::Null, Some(failure)),
            Some(Outcome::Failed(failure) | Outcome::Stuck(failure)) => {
                ("failed", Exit::Failed, Value::Null, Some(failure))
            }
            Some(_) => ("failed", Exit::Unexpected, Value::Null, None),
        };
        match output {
            Output::Ids => say(&self.run.to_string())?,
            Output::Json => say(&json!({
                "run": self.run,
                "workflow": self.workflow,
                "status": status,
                "output": value,
                "error": failure.map(error),
            })
            .to_string())?,
            Output::Table => {
                tell(format!("run {} {status}", self.run));
                if let Some(failure) = failure {
                    let causes: String = failure.chain.iter().map(|cause| format!("; because: {cause}")).collect();
                    tell(one_line(&format!("{failure}{causes}")));
                }
                if exit == Exit::Well {
                    say(&format!("{value:#}"))?;
                }
            }
        }
        Ok(exit)
    }
}

/// A failure as an object: `step` is the node, and `instance` is which of its instances.
fn error(failure: &Failure) -> Value {
    let step = failure.node.as_deref().map(node);
    json!({"kind": failure.kind.as_str(), "message": failure.message, "step": step, "instance": failure.node})
}

/// The path of a node without the numbers of items: `pack[3]/box` is `pack/box`.
pub(crate) fn node(instance: &str) -> String {
    let (mut out, mut chars, mut inside) = (String::new(), instance.chars(), false);
    while let Some(c) = chars.next() {
        match c {
            // Behind a backslash everything is a part of a name.
            '\\' => {
                out.push(c);
                out.extend(chars.next());
            }
            '[' => inside = true,
            ']' if inside => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_an_instance_without_its_numbers() {
        assert_eq!(node("pack[3]/box"), "pack/box");
        assert_eq!(node("a[1]/b[22]/c\\[1\\]"), "a/b/c\\[1\\]");
    }
}
