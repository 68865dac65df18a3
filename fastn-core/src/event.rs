//! What is recorded of a run.
//!
//! Records are CBOR (RFC 8949) with fields by number: a field added later is skipped by older readers and takes its
//! default in newer ones.

use std::fmt;

use minicbor::{Decode, Encode};

use crate::plan::NodeIx;
use crate::{Attempt, By, Error, ErrorKind, Failure, Payload, Result, RunId, Timestamp};

/// Which instance of which node: the node in the plan, and what tells the scopes around it apart that are opened more than
/// once, outermost first: the item of an `each`, the round of a `repeat`, how often the body of a `try` was done before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct Address {
    /// The node.
    #[n(0)]
    pub node: NodeIx,
    /// A number for each such scope around it.
    #[n(1)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub items: Vec<u32>,
}

/// Which of a node's functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
#[non_exhaustive]
pub enum Part {
    /// Its work.
    #[default]
    #[n(0)]
    Work,
    /// Its `on_error`.
    #[n(1)]
    OnError,
    /// Its undo.
    #[n(2)]
    Undo,
    /// The `finally` of a `try`: called once the rest of it is over, however that ended.
    #[n(3)]
    Finally,
}

impl Part {
    /// The part in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::OnError => "on_error",
            Self::Undo => "undo",
            Self::Finally => "finally",
        }
    }
}

/// What a person says of a step instead of what comes of it by itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Decision {
    /// It is done, and gave this.
    #[n(0)]
    Gave(#[n(0)] Payload),
    /// It failed for good.
    #[n(1)]
    Failed(#[n(0)] Failure),
    /// It is to be made, or made again, now.
    #[n(2)]
    Again,
}

impl Decision {
    /// The decision in a word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Gave(_) => "gave",
            Self::Failed(_) => "failed",
            Self::Again => "again",
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Outcome {
    /// With this output.
    #[n(0)]
    Succeeded(#[n(0)] Payload),
    /// With this failure; what had been done was undone.
    #[n(1)]
    Failed(#[n(0)] Failure),
    /// It was cancelled; what had been done was undone.
    #[n(2)]
    Cancelled(#[n(0)] Failure),
    /// It failed or was cancelled, and something could not be undone; or its executors died over it again and again, and it
    /// was left as it was, which is a failure of the kind [`POISON`](crate::FailureKind::POISON): a person must look.
    #[n(3)]
    Stuck(#[n(0)] Failure),
}

/// One thing that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Event {
    /// An attempt of an at-most-once step is about to begin.
    #[n(0)]
    Started {
        /// Where.
        #[n(0)]
        at: Address,
        /// Which attempt.
        #[n(1)]
        attempt: Attempt,
    },
    /// An attempt succeeded.
    #[n(1)]
    Succeeded {
        /// Where.
        #[n(0)]
        at: Address,
        /// Which of the node's functions.
        #[n(1)]
        part: Part,
        /// Which attempt.
        #[n(2)]
        attempt: Attempt,
        /// What it gave.
        #[n(3)]
        output: Payload,
    },
    /// An attempt failed.
    #[n(2)]
    Failed {
        /// Where.
        #[n(0)]
        at: Address,
        /// Which of the node's functions.
        #[n(1)]
        part: Part,
        /// Which attempt.
        #[n(2)]
        attempt: Attempt,
        /// Why.
        #[n(3)]
        failure: Failure,
        /// When it will be tried again; never, if absent.
        #[n(4)]
        retry_at: Option<Timestamp>,
    },
    /// A sleep began.
    #[n(3)]
    Sleeping {
        /// Where.
        #[n(0)]
        at: Address,
        /// Until when.
        #[n(1)]
        until: Timestamp,
    },
    /// A sleep ended.
    #[n(4)]
    Woke {
        /// Where.
        #[n(0)]
        at: Address,
    },
    /// Somebody asked for the run to be cancelled.
    #[n(5)]
    CancelRequested {
        /// Why, for people.
        #[n(0)]
        reason: String,
        /// Who, if it was somebody in particular.
        #[n(1)]
        actor: Option<Box<str>>,
    },
    /// The run's own deadline passed.
    #[n(6)]
    Expired,
    /// A wait for a signal began.
    #[n(8)]
    Waiting {
        /// Where.
        #[n(0)]
        at: Address,
        /// Which attempt at it.
        #[n(1)]
        attempt: Attempt,
        /// Until when; without end, if absent.
        #[n(2)]
        until: Option<Timestamp>,
    },
    /// The run was told a signal. Whoever waits for it has it; otherwise it is kept for who will.
    #[n(9)]
    Signalled {
        /// By which it is known if it is told once more.
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        id: [u8; 16],
        /// The signal.
        #[n(1)]
        signal: String,
        /// Its value.
        #[n(2)]
        value: Payload,
        /// Who told it and why, if that was said.
        #[n(3)]
        by: Option<Box<By>>,
    },
    /// A run of another workflow was started, whose end is awaited.
    #[n(10)]
    Child {
        /// By which node.
        #[n(0)]
        at: Address,
        /// By which attempt of it.
        #[n(1)]
        attempt: Attempt,
        /// The run, of the same tenant.
        #[n(2)]
        run: RunId,
        /// When it is cancelled for taking too long; never, if absent.
        #[n(3)]
        until: Option<Timestamp>,
    },
    /// Nothing new is begun from now on: no attempt, no undo, and no timer goes off.
    #[n(11)]
    Paused {
        /// By which it is known if it is told once more.
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        id: [u8; 16],
        /// Who paused it, and why.
        #[n(1)]
        by: By,
    },
    /// What was paused goes on.
    #[n(12)]
    Resumed {
        /// By which it is known if it is told once more.
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        id: [u8; 16],
        /// Who let it go on, and why.
        #[n(1)]
        by: By,
    },
    /// The executor of an attempt that may be made once died while it ran: whether its effect took place is not known, and a
    /// person decides.
    #[n(13)]
    Doubted {
        /// Where.
        #[n(0)]
        at: Address,
        /// Which attempt.
        #[n(1)]
        attempt: Attempt,
    },
    /// Somebody said what became of a node.
    #[n(14)]
    Decided {
        /// By which it is known if it is told once more.
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        id: [u8; 16],
        /// Where.
        #[n(1)]
        at: Address,
        /// Of which of the node's functions.
        #[n(2)]
        part: Part,
        /// Of which attempt.
        #[n(3)]
        attempt: Attempt,
        /// What was said.
        #[n(4)]
        decision: Decision,
        /// Who said it, and why.
        #[n(5)]
        by: Box<By>,
    },
    /// A scope that contains failure is over, and what it was answerable for is done: if it did not end well, nothing of it is
    /// left; if it did, its `finally` was called. Its node goes on.
    #[n(15)]
    Unwound {
        /// The node that it stands in.
        #[n(0)]
        at: Address,
        /// Which of the node's: the item of an `each`, otherwise the number of the scope among those of the node.
        #[n(1)]
        which: u32,
        /// When a `try` will do it once more; never, if absent.
        #[n(2)]
        retry_at: Option<Timestamp>,
    },
    /// The run ended. Nothing follows.
    #[n(7)]
    Finished {
        /// How.
        #[n(0)]
        outcome: Outcome,
    },
}

impl Event {
    /// Which instance of which node it is about, if it is about one.
    pub const fn address(&self) -> Option<&Address> {
        match self {
            Self::Started { at, .. }
            | Self::Succeeded { at, .. }
            | Self::Failed { at, .. }
            | Self::Sleeping { at, .. }
            | Self::Woke { at }
            | Self::Waiting { at, .. }
            | Self::Child { at, .. }
            | Self::Doubted { at, .. }
            | Self::Decided { at, .. } => Some(at),
            _ => None,
        }
    }
}

/// An event with its time.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Record {
    /// When, by the clock of the executor that recorded it.
    #[n(0)]
    pub time: Timestamp,
    /// What.
    #[n(1)]
    pub event: Event,
}

impl Record {
    /// Appends the record to a CBOR sequence (RFC 8742).
    ///
    /// # Errors
    /// [`ErrorKind::Internal`]: memory does not fail, so none is expected.
    pub fn append_to(&self, buffer: &mut Vec<u8>) -> Result<()> {
        minicbor::encode(self, buffer)
            .map_err(|e| Error::new(ErrorKind::Internal, "encode record").caused_by(e.to_string()))
    }

    /// Reads a CBOR sequence of records to its end.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if a record is damaged or of a kind that this build does not know.
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let mut records = Vec::new();
        while decoder.position() < bytes.len() {
            records.push(decoder.decode().map_err(|e| {
                Error::new(ErrorKind::Corrupt, "decode record").with("position", decoder.position()).caused_by(e)
            })?);
        }
        Ok(records)
    }
}

impl<C> Encode<C> for Timestamp {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.i64(self.as_micros())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Timestamp {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.i64().map(Self::from_micros)
    }
}

impl<C> Encode<C> for RunId {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(self.as_bytes())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for RunId {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?.try_into();
        bytes.map(Self::from_bytes).map_err(|_| minicbor::decode::Error::message("a run id has 16 bytes"))
    }
}

macro_rules! as_number {
    ($name:ident) => {
        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.u32(self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                d.u32().map(Self)
            }
        }
    };
}

as_number!(Attempt);
as_number!(NodeIx);

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded(_) => f.write_str("succeeded"),
            Self::Failed(failure) => write!(f, "failed: {failure}"),
            Self::Cancelled(failure) => write!(f, "cancelled: {failure}"),
            Self::Stuck(failure) => write!(f, "stuck: {failure}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FailureKind;

    #[test]
    fn records_survive_their_encoding() {
        let at = Address { node: NodeIx(7), items: vec![] };
        let inner = Address { node: NodeIx(70_000), items: vec![3, 99_999] };
        let failure = Failure::new(FailureKind::ERROR, "no").permanent().at("charge");
        let events = [
            Event::Started { at: at.clone(), attempt: Attempt(1) },
            Event::Succeeded {
                at: inner.clone(),
                part: Part::Undo,
                attempt: Attempt(2),
                output: Payload::json("9007199254740993"),
            },
            Event::Failed {
                at: at.clone(),
                part: Part::Work,
                attempt: Attempt(3),
                failure: failure.clone(),
                retry_at: Some(Timestamp::from_millis(-1)),
            },
            Event::Sleeping { at: at.clone(), until: Timestamp::MAX },
            Event::Woke { at },
            Event::CancelRequested { reason: "customer changed their mind".into(), actor: None },
            Event::CancelRequested { reason: String::new(), actor: Some("ann".into()) },
            Event::Expired,
            Event::Waiting { at: inner.clone(), attempt: Attempt(1), until: None },
            Event::Waiting { at: inner.clone(), attempt: Attempt(2), until: Some(Timestamp::MAX) },
            Event::Signalled { id: [7; 16], signal: "paid".into(), value: Payload::json("1"), by: None },
            Event::Signalled {
                id: [8; 16],
                signal: "paid".into(),
                value: Payload::json("1"),
                by: Some(Box::new(By::new("ann", "by phone"))),
            },
            Event::Paused { id: [9; 16], by: By::new("ann", "stocktaking") },
            Event::Resumed { id: [10; 16], by: By::new("", "") },
            Event::Doubted { at: Address { node: NodeIx(7), items: vec![] }, attempt: Attempt(1) },
            Event::Decided {
                id: [11; 16],
                at: Address { node: NodeIx(7), items: vec![2] },
                part: Part::Work,
                attempt: Attempt(1),
                decision: Decision::Gave(Payload::json("1")),
                by: Box::new(By::new("ann", "the bank says so")),
            },
            Event::Decided {
                id: [12; 16],
                at: Address { node: NodeIx(7), items: vec![] },
                part: Part::Undo,
                attempt: Attempt(4),
                decision: Decision::Again,
                by: Box::default(),
            },
            Event::Child { at: inner.clone(), attempt: Attempt(1), run: RunId::named("child"), until: None },
            Event::Unwound { at: inner.clone(), which: 0, retry_at: None },
            Event::Unwound { at: inner, which: 70_000, retry_at: Some(Timestamp::MAX) },
            Event::Finished { outcome: Outcome::Stuck(failure) },
        ];
        let records: Vec<Record> =
            events.into_iter().map(|event| Record { time: Timestamp::from_millis(5), event }).collect();
        let mut buffer = Vec::new();
        for record in &records {
            record.append_to(&mut buffer).expect("memory does not fail");
        }
        assert_eq!(Record::read_all(&buffer).expect("what was encoded decodes"), records);
        for cut in 1..buffer.len() {
            // A cut at a record's end reads as fewer records; anywhere else it must be an error, never a panic.
            if let Ok(read) = Record::read_all(&buffer[..cut]) {
                assert!(records.starts_with(&read) && read.len() < records.len());
            }
        }
    }

    /// What an older build wrote has no actor, and what this one writes without one is the same to the letter.
    #[test]
    fn what_names_nobody_is_written_as_it_always_was() {
        let old = [0x82, 0x00, 0x82, 0x05, 0x81, 0x62, b'n', b'o'];
        let event = Event::CancelRequested { reason: "no".into(), actor: None };
        let record = Record { time: Timestamp::EPOCH, event };
        let mut written = Vec::new();
        record.append_to(&mut written).expect("memory does not fail");
        assert_eq!(written, old);
        assert_eq!(Record::read_all(&old).expect("it is a record"), [record]);
    }

    /// Every record of every run passes through memory as one.
    #[test]
    fn what_is_done_by_hand_makes_no_other_event_larger() {
        let failed = size_of::<(Address, Part, Attempt, crate::Failure, Option<Timestamp>)>();
        assert!(size_of::<Event>() <= failed + 8, "{} and {failed}", size_of::<Event>());
    }

    #[test]
    fn a_result_costs_few_bytes_beyond_its_payload() {
        let mut buffer = Vec::new();
        let event = Event::Succeeded {
            at: Address { node: NodeIx(5), items: vec![] },
            part: Part::Work,
            attempt: Attempt(1),
            output: Payload::json(vec![b'1'; 100]),
        };
        Record { time: Timestamp::from_millis(1_800_000_000_000), event }
            .append_to(&mut buffer)
            .expect("memory does not fail");
        assert!(buffer.len() <= 100 + 22, "{} bytes", buffer.len());
    }
}
