//! Dead events: what was told to a run and cannot be handed over.

use bytes::Bytes;
use fastn_core::{EntryKind, EntryName, Error, ErrorKind, Payload, Result, RunId, TenantId, Timestamp};
use fastn_store::{Entry, EntryKey, Expect, Message, Put, RunKey, Store};
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::kept;

/// Raised when older builds must not read what newer ones write.
const FORMAT: u32 = 1;

/// How much of what nobody can read is kept, in bytes.
const MOST_KEPT: usize = 4_096;

/// Something that was told to a run and cannot be handed over to it, as dead letters keep it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeadEvent {
    /// By which it is known, within its run.
    pub id: [u8; 16],
    /// Whose run it is.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
    /// The signal and its value; `None` if nobody knows what was told.
    pub signal: Option<(String, Payload)>,
    /// What was told, as far as it was a text; at most 4 KiB of it.
    pub text: String,
    /// Why it was not handed over.
    pub reason: String,
    /// How often that was tried.
    pub attempts: u32,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// When it was tried last.
    pub failed_at: Timestamp,
}

/// One as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    format: u32,
    /// The message's, written as ids of runs are.
    id: RunId,
    run: RunId,
    /// The message.
    text: String,
    reason: String,
    attempts: u32,
    sent_at: Timestamp,
    failed_at: Timestamp,
}

const OP: &str = "keep dead event";

impl DeadEvent {
    /// # Errors
    /// `Unsupported` if a newer build wrote it in a way that this one does not know, `Corrupt` if nobody did.
    pub(super) fn read(entry: &Entry) -> Result<Self> {
        let Kept { id, run, text, reason, attempts, sent_at, failed_at, .. } =
            kept::read(&entry.value, FORMAT, "read dead event")?;
        let signal = match Command::decode(text.as_bytes()) {
            Ok(Command::Signal { name, value, .. }) => Some((name, value)),
            _ => None,
        };
        let (id, tenant) = (*id.as_bytes(), entry.key.tenant.clone());
        Ok(Self { id, tenant, run, signal, text, reason, attempts, sent_at, failed_at })
    }

    fn write(&self) -> Result<Bytes> {
        let Self { id, run, text, reason, attempts, sent_at, failed_at, .. } = self.clone();
        let id = RunId::from_bytes(id);
        kept::write(&Kept { format: FORMAT, id, run, text, reason, attempts, sent_at, failed_at }, OP)
    }

    pub(super) fn key(&self) -> Result<EntryKey> {
        key_of(&RunKey { tenant: self.tenant.clone(), run: self.run }, &self.id)
    }

    /// It was tried once more, in vain.
    pub(super) fn failed(&mut self, reason: String, now: Timestamp) {
        (self.reason, self.failed_at, self.attempts) = (reason, now, self.attempts.saturating_add(1));
    }

    /// Keeps it as it is now.
    pub(super) async fn put(&self, store: &dyn Store, expect: Expect) -> Result<()> {
        store.put(Put { key: self.key()?, value: Some(self.write()?), expect }).await.map(drop)
    }
}

pub(super) fn kind() -> Result<EntryKind> {
    EntryKind::new("dead-event").map_err(|e| Error::new(ErrorKind::Internal, OP).caused_by(e))
}

/// Where one is kept.
pub(super) fn key_of(run: &RunKey, id: &[u8; 16]) -> Result<EntryKey> {
    let name = EntryName::new(format!("{}/{}", run.run, RunId::from_bytes(*id)));
    let name = name.map_err(|e| Error::new(ErrorKind::Internal, OP).caused_by(e))?;
    Ok(EntryKey { kind: kind()?, tenant: run.tenant.clone(), name })
}

/// Keeps a message that cannot be handed over, before it is acknowledged. Doing so again changes nothing.
pub(super) async fn keep(store: &dyn Store, message: &Message, reason: String, now: Timestamp) -> Result<()> {
    let mut text = String::from_utf8_lossy(&message.body).into_owned();
    // What can be read is kept whole, so that it can be told once more.
    if text.len() > MOST_KEPT && Command::decode(&message.body).is_err() {
        let most = (0..=MOST_KEPT).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(most.unwrap_or_default());
    }
    let (id, sent_at) = (message.id, message.sent_at);
    let RunKey { tenant, run } = message.run.clone();
    let event = DeadEvent { id, tenant, run, signal: None, text, reason, attempts: 1, sent_at, failed_at: now };
    match event.put(store, Expect::Absent).await {
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
        kept => kept,
    }
}
