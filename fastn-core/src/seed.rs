//! Runs that begin with what another one has done.

use minicbor::{Decode, Encode};

use crate::{By, ContentType, Error, ErrorKind, Payload, Record, Result, RunId};

/// What a run is given that begins with what another one has done: its input proper, and the records of the steps that it does not
/// make again. It is the run's input as stores keep it, so that both are there together or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct Seed {
    /// Raised when older builds must not read what newer ones write.
    #[n(0)]
    format: u32,
    /// What the run is given.
    #[n(1)]
    pub input: Payload,
    /// Where it comes from.
    #[n(2)]
    pub origin: Origin,
    /// What is recorded of it already, in order.
    #[n(3)]
    pub records: Vec<Record>,
}

/// Where a run comes from that begins with what another one has done.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct Origin {
    /// The other run, of the same tenant.
    #[n(0)]
    pub run: RunId,
    /// From which step on it does otherwise; where the other one failed, if absent.
    #[n(1)]
    pub step: Option<String>,
    /// Who wanted it, and why.
    #[n(2)]
    pub by: By,
}

const FORMAT: u32 = 1;

impl Origin {
    /// This run, from this step on.
    pub const fn new(run: RunId, step: Option<String>, by: By) -> Self {
        Self { run, step, by }
    }
}

impl Seed {
    /// The media type of inputs that are seeds. Nothing that comes from outside may have it.
    pub const MEDIA_TYPE: &'static str = "application/vnd.fastn.seed+cbor";

    /// A seed.
    pub const fn new(input: Payload, origin: Origin, records: Vec<Record>) -> Self {
        Self { format: FORMAT, input, origin, records }
    }

    /// Whether an input is one.
    pub fn is(input: &Payload) -> bool {
        input.content().as_str() == Self::MEDIA_TYPE
    }

    /// The seed that an input is, if it is one.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) if a newer build wrote it, [`Corrupt`](ErrorKind::Corrupt) if it is damaged.
    pub fn read(input: &Payload) -> Result<Option<Self>> {
        const OP: &str = "read seed";
        if !Self::is(input) {
            return Ok(None);
        }
        let seed: Self =
            minicbor::decode(input.bytes()).map_err(|e| Error::new(ErrorKind::Corrupt, OP).caused_by(e.to_string()))?;
        if seed.format > FORMAT {
            return Err(Error::new(ErrorKind::Unsupported, OP).with("format", seed.format));
        }
        if Self::is(&seed.input) {
            return Err(Error::new(ErrorKind::Corrupt, OP).caused_by("a seed within a seed"));
        }
        Ok(Some(seed))
    }

    /// The input that it is.
    ///
    /// # Errors
    /// None is expected: memory does not fail.
    pub fn write(&self) -> Result<Payload> {
        let bytes = minicbor::to_vec(self)
            .map_err(|e| Error::new(ErrorKind::Internal, "write seed").caused_by(e.to_string()))?;
        Ok(Payload::new(ContentType::from(Self::MEDIA_TYPE), bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Timestamp};

    #[test]
    fn a_seed_is_read_as_it_was_written_and_nothing_else_is_one() {
        let record = Record { time: Timestamp::EPOCH, event: Event::Expired };
        let origin = Origin::new(RunId::named("one"), Some("ship".to_owned()), By::new("ann", "again"));
        let seed = Seed::new(Payload::json("7"), origin, vec![record]);
        let written = seed.write().expect("memory does not fail");
        assert_eq!(Seed::read(&written).expect("it is one"), Some(seed.clone()));
        assert_eq!(Seed::read(&Payload::json("7")).expect("it is none"), None);
        for cut in 0..written.len() {
            let damaged = Payload::new(written.content().clone(), written.bytes().slice(..cut));
            assert_eq!(Seed::read(&damaged).expect_err("it is damaged").kind(), ErrorKind::Corrupt);
        }
        let within = Seed { input: written, ..seed };
        let within = within.write().expect("memory does not fail");
        assert_eq!(Seed::read(&within).expect_err("one is enough").kind(), ErrorKind::Corrupt);
    }
}
