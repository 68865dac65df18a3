//! What a message tells a run, and how that is written.
//!
//! JSON with a version, since the engine that reads it may be of another build than the one that wrote it, and since other
//! programs than engines may want to write it: `{"v":1,"kind":"cancel","reason":"out of stock"}`.

use bytes::Bytes;
use fastn_core::plan::NodeIx;
use fastn_core::{Address, Attempt, By, Decision, Error, ErrorKind, Event, Failure, Part, Payload, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::machine::Machine;

/// What a message tells a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// To stop what runs and undo what was done.
    Cancel { by: By },
    /// Something that nodes wait for. The message's id is that of the signal. The value is JSON.
    Signal { name: String, value: Payload, by: Option<By> },
    /// To begin nothing. The message's id is that of the event.
    Pause { by: By },
    /// To go on. The message's id is that of the event.
    Resume { by: By },
    /// What became of an attempt, or is to. The message's id is that of the event.
    Decide { which: Which, decision: Decision, by: By },
}

/// An attempt of a node's function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Which {
    pub(super) at: Address,
    pub(super) part: Part,
    pub(super) attempt: Attempt,
}

/// What every version of every kind has.
#[derive(Deserialize)]
struct Head {
    v: u32,
    kind: String,
}

/// One that says nothing but what is to be done, by whom and why.
#[derive(Deserialize, Serialize)]
struct Plain {
    v: u32,
    kind: String,
    reason: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    actor: String,
}

#[derive(Deserialize, Serialize)]
struct Signal {
    v: u32,
    kind: String,
    name: String,
    value: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<By>,
}

#[derive(Deserialize, Serialize)]
struct Decide {
    v: u32,
    kind: String,
    node: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    items: Vec<u32>,
    part: String,
    attempt: Attempt,
    decision: Said,
    by: By,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Gave(Box<RawValue>),
    Failed(Failure),
    Again,
}

const VERSION: u32 = 1;
const CANCEL: &str = "cancel";
const SIGNAL: &str = "signal";
const PAUSE: &str = "pause";
const RESUME: &str = "resume";
const DECIDE: &str = "decide";

impl Command {
    /// What it is for a run as it stands: an event, or nothing.
    pub(super) fn event(&self, id: [u8; 16], machine: &Machine) -> Option<Event> {
        match self {
            Self::Cancel { by } => machine.cancel(by),
            Self::Signal { name, value, by } => machine.signal_by(id, name, value, by.as_ref()),
            Self::Pause { by } => machine.pause(id, by),
            Self::Resume { by } => machine.unpause(id, by),
            Self::Decide { which: Which { at, part, attempt }, decision, by } => {
                machine.decide(id, (at, *part, *attempt), decision, by)
            }
        }
    }

    pub(super) fn encode(self) -> Result<Bytes> {
        let plain = |kind: &str, By { actor, reason, .. }| {
            serde_json::to_vec(&Plain { v: VERSION, kind: kind.to_owned(), reason, actor })
        };
        let bytes = match self {
            Self::Cancel { by } => plain(CANCEL, by),
            Self::Pause { by } => plain(PAUSE, by),
            Self::Resume { by } => plain(RESUME, by),
            Self::Decide { which: Which { at, part, attempt }, decision, by } => {
                let decision = match decision {
                    Decision::Gave(output) => Said::Gave(output.decode()?),
                    Decision::Failed(failure) => Said::Failed(failure),
                    _ => Said::Again,
                };
                let (kind, part) = (DECIDE.to_owned(), part.as_str().to_owned());
                let (node, items) = (at.node.0, at.items);
                serde_json::to_vec(&Decide { v: VERSION, kind, node, items, part, attempt, decision, by })
            }
            Self::Signal { name, value, by } => {
                let value = value.decode()?;
                serde_json::to_vec(&Signal { v: VERSION, kind: SIGNAL.to_owned(), name, value, by })
            }
        };
        bytes.map(Bytes::from).map_err(|e| Error::new(ErrorKind::Internal, "encode message").caused_by(e))
    }

    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) if it is of a kind or version that this build does not know;
    /// [`Corrupt`](ErrorKind::Corrupt) if no build would.
    pub(super) fn decode(body: &[u8]) -> Result<Self> {
        const OP: &str = "decode message";
        let corrupt = |e: serde_json::Error| Error::new(ErrorKind::Corrupt, OP).caused_by(e);
        let plain = || {
            let Plain { actor, reason, .. } = serde_json::from_slice(body).map_err(corrupt)?;
            Ok::<By, Error>(By::new(actor, reason))
        };
        let head: Head = serde_json::from_slice(body).map_err(corrupt)?;
        match head.kind.as_str() {
            CANCEL if head.v == VERSION => Ok(Self::Cancel { by: plain()? }),
            PAUSE if head.v == VERSION => Ok(Self::Pause { by: plain()? }),
            RESUME if head.v == VERSION => Ok(Self::Resume { by: plain()? }),
            SIGNAL if head.v == VERSION => {
                let Signal { name, value, by, .. } = serde_json::from_slice(body).map_err(corrupt)?;
                Ok(Self::Signal { name, value: Payload::json(String::from(Box::<str>::from(value))), by })
            }
            DECIDE if head.v == VERSION => {
                let Decide { node, items, part, attempt, decision, by, .. } =
                    serde_json::from_slice(body).map_err(corrupt)?;
                let parts = [Part::Work, Part::OnError, Part::Undo];
                let unknown = || Error::new(ErrorKind::Unsupported, OP).with("part", &part);
                let part = *parts.iter().find(|known| known.as_str() == part).ok_or_else(unknown)?;
                let decision = match decision {
                    Said::Gave(output) => Decision::Gave(Payload::json(String::from(Box::<str>::from(output)))),
                    Said::Failed(failure) => Decision::Failed(failure),
                    Said::Again => Decision::Again,
                };
                let at = Address { node: NodeIx(node), items };
                Ok(Self::Decide { which: Which { at, part, attempt }, decision, by })
            }
            kind => Err(Error::new(ErrorKind::Unsupported, OP).with("kind", kind).with("version", head.v)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: std::result::Result<Command, ErrorKind>) {
        assert_eq!(Command::decode(body.as_bytes()).map_err(|error| error.kind()), expected, "{body}");
    }

    #[test]
    fn commands_are_read_as_they_were_written() {
        for reason in ["", "out of stock", "\"\\\0\n{😀"] {
            for by in [By::from(reason), By::new("ann", reason)] {
                for command in
                    [Command::Cancel { by: by.clone() }, Command::Pause { by: by.clone() }, Command::Resume { by }]
                {
                    assert_eq!(Command::decode(&command.clone().encode().unwrap()).unwrap(), command);
                }
            }
        }
        let written = Command::Pause { by: By::new("ann", "no") }.encode().unwrap();
        assert_eq!(written, r#"{"v":1,"kind":"pause","reason":"no","actor":"ann"}"#);
        let written = Command::Cancel { by: By::from("no") }.encode().unwrap();
        assert_eq!(written, r#"{"v":1,"kind":"cancel","reason":"no"}"#, "what is stored must be read by later builds");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_too_strange(body: Vec<u8>, text: String) {
            for body in [body.as_slice(), text.as_bytes()] {
                if let Ok(command) = Command::decode(body) {
                    proptest::prop_assert_eq!(Command::decode(&command.clone().encode().unwrap()).unwrap(), command);
                }
            }
            let command = Command::Cancel { by: By::from(text) };
            proptest::prop_assert_eq!(Command::decode(&command.clone().encode().unwrap()).unwrap(), command);
        }
    }

    #[test]
    fn a_decision_is_read_as_it_was_written() {
        let at = Address { node: NodeIx(7), items: vec![3, 1] };
        let failure = Failure::new(fastn_core::FailureKind::ERROR, "no").permanent();
        for (part, decision) in [
            (Part::Work, Decision::Gave(Payload::json("{\"paid\":1.50}"))),
            (Part::OnError, Decision::Failed(failure)),
            (Part::Undo, Decision::Again),
        ] {
            let which = Which { at: at.clone(), part, attempt: Attempt(2) };
            let command = Command::Decide { which, decision, by: By::new("ann", "the bank says so") };
            assert_eq!(Command::decode(&command.clone().encode().unwrap()).unwrap(), command);
        }
    }

    #[test]
    fn what_a_later_build_wrote_is_told_from_what_no_build_wrote() {
        check(r#"{"kind":"cancel","v":1,"reason":"no","later":7}"#, Ok(Command::Cancel { by: By::from("no") }));
        check(r#"{"v":1,"kind":"ask","name":"paid"}"#, Err(ErrorKind::Unsupported));
        check(r#"{"v":1,"kind":"signal","name":"paid"}"#, Err(ErrorKind::Corrupt));
        let paid = Command::Signal { name: "paid".to_owned(), value: Payload::json("[1, 2]"), by: None };
        check(r#"{"v":1,"kind":"signal","name":"paid","value":[1, 2],"from":"shop"}"#, Ok(paid));
        check(r#"{"v":2,"kind":"cancel","why":7}"#, Err(ErrorKind::Unsupported));
        for broken in ["", "7", "null", "[]", "{}", r#"{"v":1,"kind":"cancel"}"#, r#"{"v":-1,"kind":"x"}"#, "{\"v\":1"]
        {
            check(broken, Err(ErrorKind::Corrupt));
        }
        check(&"[".repeat(100_000), Err(ErrorKind::Corrupt));
    }
}
