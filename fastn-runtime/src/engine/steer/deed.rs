//! What is done to runs.

use std::fmt;

use fastn_core::RunId;
use serde::{Deserialize, Serialize};

/// What was done to a run, or asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Deed {
    /// It is to stop, and what it did to be undone.
    Cancel,
    /// Nothing new of it is to begin.
    Pause,
    /// It is to go on.
    Resume,
    /// It was told something.
    Signal {
        /// The signal.
        signal: String,
    },
    /// It was said what became of a step.
    Decide {
        /// The step, as [`Activity::node`](crate::machine::Activity::node) names it.
        step: String,
        /// What was said: `gave`, `failed`, `again`.
        decision: String,
    },
    /// A new run was started that begins with what this one has done.
    Fork {
        /// The new run.
        run: RunId,
        /// From which step on; where this one failed, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
    },
    /// Something that a later version does.
    #[serde(other)]
    Other,
}

impl Deed {
    /// The deed in a word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Signal { .. } => "signal",
            Self::Decide { .. } => "decide",
            Self::Fork { .. } => "fork",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal { signal } => write!(f, "signal {signal}"),
            Self::Decide { step, decision } => write!(f, "decide {step} {decision}"),
            Self::Fork { run, step: Some(step) } => write!(f, "fork {run} from {step}"),
            Self::Fork { run, step: None } => write!(f, "fork {run} from the failure"),
            deed => f.write_str(deed.as_str()),
        }
    }
}
