//! A schedule as it is kept: JSON, with what a later version adds left as it is.

use std::time::Duration;

use bytes::Bytes;
use fastn_core::{EntryKind, Error, ErrorKind, Payload, QueueName, Result, RunId, Timestamp, Version, WorkflowName};
use fastn_schedule::{Calendar, Zone};
use fastn_store::EntryKey;
use serde::{Deserialize, Serialize};

use super::super::kept;
use super::spec::{CatchUp, Overlap, Schedule, ScheduleInput};

/// The newest format that this build writes. Raised only for what an older build must not fire as it understands it.
const FORMAT: u32 = 2;

/// What is written of a schedule whose runs wait in a queue: they must not be started beside it.
const QUEUED: u32 = 2;

/// What is written of any other.
const PLAIN: u32 = 1;

/// How many runs that may be under way are remembered.
const MOST_OPEN: usize = 64;

/// A schedule, and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stored {
    format: u32,
    workflow: WorkflowName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<Version>,
    input: Input,
    pub(super) calendar: Calendar,
    pub(super) zone: Zone,
    #[serde(default)]
    pub(super) overlap: Overlap,
    #[serde(default)]
    pub(super) catch_up: CatchUp,
    /// In microseconds.
    #[serde(default)]
    jitter: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) queue: Option<QueueName>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) priority: i16,
    #[serde(default)]
    pub(super) paused: bool,
    /// Tells a schedule from those of the same name that were deleted before.
    generation: u64,
    /// Every due time up to here was fired or passed over.
    pub(super) position: Timestamp,
    /// Runs that it started and that may still be under way.
    #[serde(default)]
    pub(super) open: Vec<RunId>,
    /// The due time whose run is to be started when those have ended.
    #[serde(default)]
    pub(super) buffered: Option<Timestamp>,
    /// How many due times were passed over because a run was under way.
    #[serde(default)]
    pub(super) skipped: u64,
    /// What later versions keep beside.
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(priority: &i16) -> bool {
    *priority == 0
}

/// What its runs are given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Input {
    DueTime,
    Text { content: String, text: String },
    Bytes { content: String, bytes: Vec<u8> },
}

impl Input {
    fn of(input: &ScheduleInput) -> Self {
        let ScheduleInput::Constant(payload) = input else { return Self::DueTime };
        let content = payload.content().as_str().to_owned();
        match std::str::from_utf8(payload.bytes()) {
            Ok(text) => Self::Text { content, text: text.to_owned() },
            Err(_) => Self::Bytes { content, bytes: payload.bytes().to_vec() },
        }
    }

    fn said(&self) -> ScheduleInput {
        ScheduleInput::Constant(match self {
            Self::DueTime => return ScheduleInput::DueTime,
            Self::Text { content, text } => Payload::new(content.as_str().into(), text.clone()),
            Self::Bytes { content, bytes } => Payload::new(content.as_str().into(), bytes.clone()),
        })
    }
}

/// The kind of the entries that are schedules.
pub(super) fn kind() -> Result<EntryKind> {
    EntryKind::new("schedule").map_err(|e| Error::new(ErrorKind::Internal, "find schedules").caused_by(e))
}

impl Stored {
    /// A new schedule, which is due from now on.
    pub(super) fn new(schedule: &Schedule, generation: u64, now: Timestamp) -> Self {
        Self {
            format: if schedule.queue.is_some() { QUEUED } else { PLAIN },
            workflow: schedule.workflow.clone(),
            version: schedule.version,
            input: Input::of(&schedule.input),
            calendar: schedule.calendar.clone(),
            zone: schedule.zone.clone(),
            overlap: schedule.overlap,
            catch_up: schedule.catch_up,
            jitter: u64::try_from(schedule.jitter.as_micros()).unwrap_or(u64::MAX),
            queue: schedule.queue.clone(),
            priority: schedule.priority,
            paused: schedule.paused,
            generation,
            position: now,
            open: Vec::new(),
            buffered: None,
            skipped: 0,
            rest: serde_json::Map::new(),
        }
    }

    /// The same schedule, as it is to be from now on.
    pub(super) fn replaced(&self, schedule: &Schedule, now: Timestamp) -> Self {
        let new = Self::new(schedule, self.generation, now);
        // By another calendar nothing was missed. What was fired by this one has its run, should it be due once more.
        let same = self.calendar == new.calendar && self.zone == new.zone;
        Self {
            paused: self.paused,
            position: if same { self.position } else { now },
            open: self.open.clone(),
            buffered: self.buffered.filter(|_| same && new.overlap == Overlap::BufferOne),
            skipped: self.skipped,
            rest: self.rest.clone(),
            ..new
        }
    }

    /// # Errors
    /// `Unsupported` if a newer build wrote it in a way that this one does not know, `Corrupt` if nobody did.
    pub(super) fn read(value: &[u8]) -> Result<Self> {
        kept::read(value, FORMAT, "read schedule")
    }

    pub(super) fn write(&self) -> Result<Bytes> {
        kept::write(self, "write schedule")
    }

    /// As hosts see it.
    pub(super) fn said(&self, key: &EntryKey) -> Schedule {
        Schedule {
            tenant: key.tenant.clone(),
            name: key.name.clone(),
            workflow: self.workflow.clone(),
            version: self.version,
            input: self.input.said(),
            calendar: self.calendar.clone(),
            zone: self.zone.clone(),
            overlap: self.overlap,
            catch_up: self.catch_up,
            jitter: self.jitter(),
            queue: self.queue.clone(),
            priority: self.priority,
            paused: self.paused,
        }
    }

    pub(super) const fn jitter(&self) -> Duration {
        Duration::from_micros(self.jitter)
    }

    pub(super) const fn workflow(&self) -> (&WorkflowName, Option<Version>) {
        (&self.workflow, self.version)
    }

    /// What the run for a due time is given.
    pub(super) fn payload(&self, due: Timestamp) -> Result<Payload> {
        match self.input.said() {
            ScheduleInput::Constant(payload) => Ok(payload),
            ScheduleInput::DueTime => Payload::encode(&due),
        }
    }

    /// The id of the run for a due time. The lengths keep one name from looking like part of another.
    pub(super) fn run(&self, key: &EntryKey, due: Timestamp) -> RunId {
        let (tenant, name) = (key.tenant.as_str(), key.name.as_str());
        RunId::named(&format!(
            "fastn schedule/{}:{tenant}/{}:{name}/{}/{}",
            tenant.len(),
            name.len(),
            self.generation,
            due.as_micros()
        ))
    }

    /// How much later than it is due the run is started.
    pub(super) fn delay(&self, key: &EntryKey, due: Timestamp) -> Duration {
        let [.., a, b, c, d, e, f, g, h] = *self.run(key, due).as_bytes();
        let draw = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        Duration::from_micros(draw.checked_rem(self.jitter).unwrap_or(0))
    }

    /// Remembers a run that was started.
    pub(super) fn opened(&mut self, run: RunId) {
        self.open.push(run);
        let excess = self.open.len().saturating_sub(MOST_OPEN);
        self.open.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastn_core::{ContentType, EntryName, TenantId};

    const WRITTEN: &str = concat!(
        r#"{"format":1,"workflow":"report","version":3,"input":{"text":{"content":"application/json","text":"\"sales\""}},"#,
        r#""calendar":{"cron":"30 2 * * *"},"zone":"Europe/Berlin","overlap":"buffer_one","#,
        r#""catch_up":{"all":{"within":{"secs":60,"nanos":0},"most":5}},"jitter":1000000,"paused":true,"generation":7,"#,
        r#""position":1774656000000000,"open":["01000000-0000-0000-0000-000000000000"],"#,
        r#""buffered":1774656000000001,"skipped":2,"of_a_later_version":{"any":["thing"]}}"#,
    );

    fn key() -> EntryKey {
        let name = EntryName::new("nightly").expect("a name");
        EntryKey { kind: kind().expect("a kind"), tenant: TenantId::default(), name }
    }

    #[test]
    fn a_schedule_is_read_as_it_was_written_and_what_is_not_known_stays() {
        let stored = Stored::read(WRITTEN.as_bytes()).expect("it is a schedule");
        assert_eq!(stored.write().expect("it can be written"), WRITTEN);
        let said = stored.said(&key());
        assert_eq!(said.input, ScheduleInput::Constant(Payload::json("\"sales\"")));
        assert_eq!((said.jitter, said.overlap), (Duration::from_secs(1), Overlap::BufferOne));
        let replaced = stored.replaced(&said, Timestamp::MAX);
        assert_eq!(replaced, stored, "the same once more changes nothing");
    }

    #[test]
    fn a_schedule_with_a_queue_is_not_for_builds_that_know_none() {
        let plain = Stored::read(WRITTEN.as_bytes()).expect("it is a schedule").said(&key());
        let queued = plain.clone().queue("mail".parse().expect("a name")).priority(-3);
        for (schedule, format) in [(plain, 1), (queued, 2)] {
            let stored = Stored::new(&schedule, 1, Timestamp::EPOCH);
            let written = stored.write().expect("it can be written");
            assert!(written.starts_with(format!("{{\"format\":{format},").as_bytes()));
            assert_eq!(Stored::read(&written).expect("it was written").said(&key()), schedule);
        }
    }

    #[test]
    fn what_is_missing_has_its_default() {
        let text = r#"{"format":1,"workflow":"w","input":"due_time","calendar":{"cron":"@daily"},"zone":"UTC","generation":1,"position":0}"#;
        let stored = Stored::read(text.as_bytes()).expect("it is a schedule");
        assert_eq!((stored.overlap, stored.catch_up, stored.paused), (Overlap::Skip, CatchUp::Latest, false));
        assert_eq!(stored.payload(Timestamp::from_micros(5)).expect("a time is JSON"), Payload::json("5"));
    }

    #[test]
    fn what_a_newer_build_means_otherwise_is_not_fired() {
        let newer = WRITTEN.replace("\"format\":1", "\"format\":3").replace("workflow", "workflows");
        assert_eq!(Stored::read(newer.as_bytes()).expect_err("it is newer").kind(), ErrorKind::Unsupported);
        let unknown = WRITTEN.replace("buffer_one", "buffer_all");
        assert_eq!(Stored::read(unknown.as_bytes()).expect_err("it is unknown").kind(), ErrorKind::Corrupt);
        for damaged in ["", "{", "null", "{}", "[1]", "\u{0}"] {
            assert_eq!(Stored::read(damaged.as_bytes()).expect_err(damaged).kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn inputs_of_every_kind_come_back() {
        let mut schedule = Stored::read(WRITTEN.as_bytes()).expect("it is a schedule").said(&key());
        let inputs = [
            Payload::null(),
            Payload::json("not JSON \u{0}\u{10FFFF}"),
            Payload::new(ContentType::Bytes, vec![0, 159, 255]),
            Payload::new("image/png".into(), "x"),
        ];
        for input in inputs {
            schedule.input = ScheduleInput::Constant(input);
            let stored = Stored::new(&schedule, 1, Timestamp::EPOCH);
            let read = Stored::read(&stored.write().expect("it can be written")).expect("it was written");
            assert_eq!(read.said(&key()), schedule);
        }
    }

    /// Were it another, due times that were fired would be fired again.
    #[test]
    fn the_run_of_a_due_time_has_the_same_id_in_every_build() {
        let stored = Stored::read(WRITTEN.as_bytes()).expect("it is a schedule");
        let run = stored.run(&key(), Timestamp::from_micros(1_774_656_000_000_000));
        assert_eq!(run.to_string(), "8640a138-b7c0-8640-a96e-9780b6469c4e");
        let others = [Timestamp::from_micros(1_774_656_000_000_001), Timestamp::EPOCH];
        assert!(others.iter().all(|due| stored.run(&key(), *due) != run));
    }
}
