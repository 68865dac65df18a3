//! Answers as bytes (CBOR, RFC 8949). Another format of them needs another [`Names`](super::names::Names).

use bytes::Bytes;
use fastn_core::plan::PlanHash;
use fastn_core::{EntryKind, EntryName, Payload, Record, RunId, TenantId, Timestamp, Version, WorkflowName};
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

use crate::{DefinitionKey, Entry, EntryKey, History, Page, RunKey, RunNo, RunStatus, RunSummary};

/// What can be kept.
pub(super) trait Coded: Sized {
    /// `None` if it cannot be written.
    fn write(&self) -> Option<Vec<u8>>;

    /// `None` if it cannot be read.
    fn read(bytes: &[u8]) -> Option<Self>;
}

#[derive(Encode, Decode)]
struct Run {
    #[n(0)]
    tenant: String,
    #[n(1)]
    run: ByteArray<16>,
    #[n(2)]
    no: u64,
    #[n(3)]
    workflow: String,
    #[n(4)]
    version: u32,
    #[n(5)]
    shape: ByteArray<32>,
    #[n(6)]
    status: u8,
    #[n(7)]
    created_at: Timestamp,
    #[n(8)]
    finished_at: Option<Timestamp>,
    #[n(9)]
    wake_at: Option<Timestamp>,
    #[n(10)]
    holder: Option<u64>,
}

#[derive(Encode, Decode)]
struct Whole {
    #[n(0)]
    run: Run,
    #[n(1)]
    input: Payload,
    /// A CBOR sequence, as in journals.
    #[n(2)]
    records: ByteVec,
}

#[derive(Encode, Decode)]
struct Runs {
    #[n(0)]
    runs: Vec<Run>,
    #[n(1)]
    next: Option<u64>,
}

#[derive(Encode, Decode)]
struct Kept {
    #[n(0)]
    kind: String,
    #[n(1)]
    tenant: String,
    #[n(2)]
    name: String,
    #[n(3)]
    version: u64,
    #[n(4)]
    value: ByteVec,
}

impl From<&RunSummary> for Run {
    fn from(summary: &RunSummary) -> Self {
        let RunSummary { key, no, definition, status, created_at, finished_at, wake_at, holder } = summary;
        Self {
            tenant: key.tenant.as_str().to_owned(),
            run: (*key.run.as_bytes()).into(),
            no: no.0,
            workflow: definition.workflow.as_str().to_owned(),
            version: definition.version.0,
            shape: definition.shape.0.into(),
            status: status.code(),
            created_at: *created_at,
            finished_at: *finished_at,
            wake_at: *wake_at,
            holder: *holder,
        }
    }
}

impl Run {
    fn known(self) -> Option<RunSummary> {
        Some(RunSummary {
            key: RunKey { tenant: TenantId::new(self.tenant).ok()?, run: RunId::from_bytes(self.run.into()) },
            no: RunNo(self.no),
            definition: DefinitionKey {
                workflow: WorkflowName::new(self.workflow).ok()?,
                version: Version(self.version),
                shape: PlanHash(self.shape.into()),
            },
            status: RunStatus::from_code(self.status)?,
            created_at: self.created_at,
            finished_at: self.finished_at,
            wake_at: self.wake_at,
            holder: self.holder,
        })
    }
}

impl From<&Entry> for Kept {
    fn from(Entry { key, version, value }: &Entry) -> Self {
        Self {
            kind: key.kind.as_str().to_owned(),
            tenant: key.tenant.as_str().to_owned(),
            name: key.name.as_str().to_owned(),
            version: *version,
            value: value.to_vec().into(),
        }
    }
}

impl Kept {
    fn known(self) -> Option<Entry> {
        let kind = EntryKind::new(self.kind).ok()?;
        let key = EntryKey { kind, tenant: TenantId::new(self.tenant).ok()?, name: EntryName::new(self.name).ok()? };
        Some(Entry { key, version: self.version, value: Bytes::from(Vec::from(self.value)) })
    }
}

/// All of the bytes are one value.
fn whole<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Option<T> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().ok()?;
    (decoder.position() == bytes.len()).then_some(value)
}

impl Coded for RunSummary {
    fn write(&self) -> Option<Vec<u8>> {
        minicbor::to_vec(Run::from(self)).ok()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        whole::<Run>(bytes)?.known()
    }
}

impl Coded for History {
    fn write(&self) -> Option<Vec<u8>> {
        let mut records = Vec::new();
        for record in &self.records {
            record.append_to(&mut records).ok()?;
        }
        let run = Run::from(&self.run);
        minicbor::to_vec(Whole { run, input: self.input.clone(), records: records.into() }).ok()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let Whole { run, input, records } = whole(bytes)?;
        Some(Self { run: run.known()?, input, records: Record::read_all(&records).ok()? })
    }
}

impl Coded for Page {
    fn write(&self) -> Option<Vec<u8>> {
        let runs = self.runs.iter().map(Run::from).collect();
        minicbor::to_vec(Runs { runs, next: self.next.map(|no| no.0) }).ok()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let Runs { runs, next } = whole(bytes)?;
        let runs = runs.into_iter().map(Run::known).collect::<Option<_>>()?;
        Some(Self { runs, next: next.map(RunNo) })
    }
}

impl Coded for Entry {
    fn write(&self) -> Option<Vec<u8>> {
        minicbor::to_vec(Kept::from(self)).ok()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        whole::<Kept>(bytes)?.known()
    }
}

impl Coded for Vec<Entry> {
    fn write(&self) -> Option<Vec<u8>> {
        minicbor::to_vec(self.iter().map(Kept::from).collect::<Vec<_>>()).ok()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        whole::<Vec<Kept>>(bytes)?.into_iter().map(Kept::known).collect()
    }
}

impl Coded for String {
    fn write(&self) -> Option<Vec<u8>> {
        Some(self.clone().into_bytes())
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use fastn_core::{Event, Failure, FailureKind, Outcome};

    use super::*;

    fn run(status: RunStatus) -> RunSummary {
        RunSummary {
            key: RunKey { tenant: TenantId::new("tenant").expect("a name"), run: RunId::named("run") },
            no: RunNo(u64::MAX),
            definition: DefinitionKey {
                workflow: WorkflowName::new("wörk").expect("a name"),
                version: Version(7),
                shape: PlanHash([9; 32]),
            },
            status,
            created_at: Timestamp::from_micros(-1),
            finished_at: status.is_final().then(|| Timestamp::from_micros(5)),
            wake_at: (status == RunStatus::Waiting).then(|| Timestamp::from_micros(i64::MAX)),
            holder: (status == RunStatus::Running).then_some(3),
        }
    }

    fn check<T: Coded + PartialEq + std::fmt::Debug>(answer: T) {
        let bytes = answer.write().expect("it can be written");
        assert_eq!(T::read(&bytes).as_ref(), Some(&answer));
    }

    #[test]
    fn every_answer_is_read_as_it_was_written() {
        RunStatus::ALL.iter().for_each(|status| check(run(*status)));
        let failure = Failure::new(FailureKind::POISON, "it was too much");
        let finished = Event::Finished { outcome: Outcome::Stuck(failure) };
        let records = vec![Record { time: Timestamp::from_micros(4), event: finished }];
        let input = Payload::encode(&vec![1, 2, 3]).expect("JSON");
        check(History { run: run(RunStatus::Stuck), input, records });
        check(Page { runs: RunStatus::ALL.iter().map(|status| run(*status)).collect(), next: Some(RunNo(4)) });
        check(Page::default());
        let kind = EntryKind::new("kind").expect("a name");
        let key = EntryKey { kind, tenant: TenantId::default(), name: EntryName::new("name").expect("a name") };
        let entry = Entry { key, version: 3, value: Bytes::from_static(b"\0\xff") };
        check(entry.clone());
        check(vec![entry.clone(), entry]);
        check("plän".to_owned());
    }

    #[test]
    fn bytes_of_something_else_are_no_answer() {
        let bytes = run(RunStatus::Failed).write().expect("it can be written");
        for cut in 0..bytes.len() {
            assert_eq!(RunSummary::read(&bytes[..cut]), None);
        }
        assert_eq!(RunSummary::read(&[&bytes[..], b"\0"].concat()), None);
        assert_eq!(History::read(&bytes), None);
        assert_eq!(Page::read(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"), None);
        assert_eq!(String::read(b"\xff"), None);
    }
}
