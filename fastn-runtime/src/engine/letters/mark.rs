//! What became of a dead letter, as it is kept.

use std::sync::Arc;

use bytes::Bytes;
use fastn_core::{EntryKind, EntryName, Error, ErrorKind, Result, RunId, Timestamp};
use fastn_store::{EntryKey, Expect, Put, RunKey, RunNo, RunSummary, Store};
use serde::{Deserialize, Serialize};

use super::super::kept;
use super::fate::{Dismissal, Retrial};

/// Raised when older builds must not read what newer ones write.
const FORMAT: u32 = 1;

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Mark {
    format: u32,
    /// The number of the run: a run of the same id may be started anew once it is deleted, and is another letter if that fails.
    /// Absent in what was written before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    no: Option<u64>,
    /// How often it was retried.
    #[serde(default)]
    pub(super) retries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retried: Option<Retried>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dismissed: Option<Dismissed>,
    /// What later versions keep beside.
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Retried {
    run: RunId,
    at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Dismissed {
    by: String,
    why: String,
    at: Timestamp,
}

impl Mark {
    fn new(run: RunNo) -> Self {
        Self {
            format: FORMAT,
            no: Some(run.0),
            retries: 0,
            retried: None,
            dismissed: None,
            rest: serde_json::Map::new(),
        }
    }

    /// # Errors
    /// `Unsupported` if a newer build wrote it in a way that this one does not know, `Corrupt` if nobody did.
    pub(super) fn read(value: &[u8]) -> Result<Self> {
        kept::read(value, FORMAT, "read dead letter")
    }

    /// Whether it is about this run, and not about one that had its id before.
    fn is_of(&self, run: RunNo) -> bool {
        self.no.is_none_or(|no| no == run.0)
    }

    pub(super) fn write(&self) -> Result<Bytes> {
        kept::write(self, "write dead letter")
    }

    /// Whether somebody has retried or dismissed it.
    pub(super) const fn is_handled(&self) -> bool {
        self.retries > 0 || self.dismissed.is_some()
    }

    /// Notes that the retry of this number has started this run; whether that was new.
    pub(super) fn retry(&mut self, number: u32, run: RunId, at: Timestamp) -> bool {
        let new = self.retries < number;
        if new {
            self.retries = number;
            self.retried = Some(Retried { run, at });
        }
        new
    }

    /// Notes that it needs nothing more; whether that was new. The first reason stands.
    pub(super) fn dismiss(&mut self, by: &str, why: &str, at: Timestamp) -> bool {
        let new = self.dismissed.is_none();
        if new {
            self.dismissed = Some(Dismissed { by: by.to_owned(), why: why.to_owned(), at });
        }
        new
    }

    /// As hosts see it: how often it was retried, the last time, and its dismissal.
    pub(super) fn said(self) -> (u32, Option<Retrial>, Option<Dismissal>) {
        let retried = self.retried.map(|Retried { run, at }| Retrial { run, at });
        let dismissed = self.dismissed.map(|Dismissed { by, why, at }| Dismissal { by, why, at });
        (self.retries, retried, dismissed)
    }
}

/// Where the mark of a run is kept.
fn key(run: &RunKey) -> Result<EntryKey> {
    let wrong = |e| Error::new(ErrorKind::Internal, "find dead letter").caused_by(e);
    let kind = EntryKind::new("dead-letter").map_err(wrong)?;
    let name = EntryName::new(run.run.to_string()).map_err(wrong)?;
    Ok(EntryKey { kind, tenant: run.tenant.clone(), name })
}

/// The mark of a run, if it has one.
pub(super) async fn find(store: &Arc<dyn Store>, run: &RunSummary) -> Result<Option<Mark>> {
    let mark = store.get(&key(&run.key)?).await?.map(|entry| Mark::read(&entry.value)).transpose()?;
    Ok(mark.filter(|mark| mark.is_of(run.no)))
}

/// Changes the mark of a run, whoever else does so at the same time, unless there is nothing to change; whether there was.
pub(super) async fn change(store: &Arc<dyn Store>, run: &RunSummary, how: impl Fn(&mut Mark) -> bool) -> Result<bool> {
    let key = key(&run.key)?;
    loop {
        let (mark, expect) = match store.get(&key).await? {
            Some(entry) => (Some(Mark::read(&entry.value)?), Expect::Version(entry.version)),
            None => (None, Expect::Absent),
        };
        let mut mark = mark.filter(|mark| mark.is_of(run.no)).unwrap_or_else(|| Mark::new(run.no));
        if !how(&mut mark) {
            return Ok(false);
        }
        match store.put(Put { key: key.clone(), value: Some(mark.write()?), expect }).await {
            Ok(_) => return Ok(true),
            // Somebody else has changed it: it is looked at once more.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = concat!(
        r#"{"format":1,"retries":2,"retried":{"run":"01000000-0000-0000-0000-000000000000","at":5},"#,
        r#""dismissed":{"by":"ann","why":"refunded \"by hand\"","at":-1},"of_a_later_version":[1]}"#,
    );

    #[test]
    fn a_mark_is_read_as_it_was_written_and_what_is_not_known_stays() {
        let mark = Mark::read(WRITTEN.as_bytes()).expect("it is a mark");
        assert_eq!(mark.write().expect("it can be written"), WRITTEN);
        let (retries, retried, dismissed) = mark.said();
        assert_eq!((retries, retried.map(|retried| retried.at)), (2, Some(Timestamp::from_micros(5))));
        assert_eq!(dismissed.map(|dismissed| dismissed.why).as_deref(), Some("refunded \"by hand\""));
    }

    #[test]
    fn the_same_once_more_changes_nothing() {
        let (one, two, now) = (RunId::named("one"), RunId::named("two"), Timestamp::EPOCH);
        let mut mark = Mark::new(RunNo(7));
        assert!(!mark.is_handled());
        assert!(mark.retry(1, one, now) && !mark.retry(1, two, now) && mark.is_handled());
        assert!(mark.dismiss("ann", "done", now) && !mark.dismiss("bob", "no", now));
        let (retries, retried, dismissed) = mark.said();
        assert_eq!((retries, retried.map(|retried| retried.run)), (1, Some(one)));
        assert_eq!(dismissed.map(|dismissed| dismissed.by).as_deref(), Some("ann"));
    }

    #[test]
    fn a_mark_is_of_one_run_of_an_id() {
        let mark = Mark::new(RunNo(7));
        assert!(mark.is_of(RunNo(7)) && !mark.is_of(RunNo(8)));
        assert!(Mark::read(WRITTEN.as_bytes()).expect("it is a mark").is_of(RunNo(8)), "it says nothing of that");
    }

    #[test]
    fn what_a_newer_build_means_otherwise_is_not_read() {
        let newer = WRITTEN.replace("\"format\":1", "\"format\":2");
        assert_eq!(Mark::read(newer.as_bytes()).expect_err("it is newer").kind(), ErrorKind::Unsupported);
        for damaged in ["", "{", "null", "{}", "[1]", "\u{0}", r#"{"format":1,"retries":-1}"#] {
            assert_eq!(Mark::read(damaged.as_bytes()).expect_err(damaged).kind(), ErrorKind::Corrupt);
        }
    }
}
