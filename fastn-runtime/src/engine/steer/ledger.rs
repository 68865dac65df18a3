//! Who did what to which run and why, as it is kept.
//!
//! An entry is written before its deed is done, so none is done that is not listed; what came to nothing is noted in it
//! afterwards. Its name begins with its time, counted backwards, so that a tenant's newest come first and the oldest are
//! found without reading the others.

use std::sync::Arc;

use bytes::Bytes;
use fastn_core::{By, EntryKind, EntryName, Error, ErrorKind, Result, RunId, TenantId, Timestamp};
use fastn_store::{Entry, EntryKey, Expect, Put, RunKey, Scan, Store};
use serde::{Deserialize, Serialize};

use super::deed::Deed;
use crate::engine::core::Core;
use crate::engine::kept;
use crate::patience::patiently;

/// Raised when older builds must not read what newer ones write.
const FORMAT: u32 = 1;

/// How many entries whose time is over are deleted for one that comes.
const SWEEP: u32 = 16;

/// An entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    format: u32,
    pub(super) run: RunId,
    pub(super) at: Timestamp,
    pub(super) deed: Deed,
    pub(super) by: By,
    /// Why nothing came of it, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) in_vain: Option<String>,
}

impl Line {
    /// # Errors
    /// `Unsupported` if a newer build wrote it in a way that this one does not know, `Corrupt` if nobody did.
    pub(super) fn read(value: &[u8]) -> Result<Self> {
        kept::read(value, FORMAT, "read audit")
    }

    pub(super) fn write(&self) -> Result<Bytes> {
        kept::write(self, "write audit")
    }
}

pub(super) fn kind() -> Result<EntryKind> {
    EntryKind::new("audit").map_err(|e| Error::new(ErrorKind::Internal, "find audit").caused_by(e))
}

/// Behind which name all entries of this time and before it are.
pub(super) fn mark(time: Timestamp) -> Result<EntryName> {
    let backwards = i64::MAX.saturating_sub(time.as_micros().max(0));
    EntryName::new(format!("{backwards:019}")).map_err(|e| Error::new(ErrorKind::Internal, "find audit").caused_by(e))
}

fn name(time: Timestamp, id: RunId) -> Result<EntryName> {
    let name = format!("{}.{id}", mark(time)?);
    EntryName::new(name).map_err(|e| Error::new(ErrorKind::Internal, "find audit").caused_by(e))
}

/// Does something to a run that somebody in particular wants done, once it is written who wants it and why. `in_vain` says why
/// nothing came of what was done, if so. What the program does of itself is not listed, and what an ephemeral engine does is
/// kept nowhere.
///
/// # Errors
/// Those of the work; `TooLarge` if too much is said; or if the store fails: then nothing was done.
pub(in crate::engine) async fn audited<T>(
    core: &Arc<Core>,
    run: &RunKey,
    deed: impl FnOnce() -> Deed,
    by: &By,
    in_vain: impl FnOnce(&T) -> Option<String>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(durable) = core.services.durable().filter(|_| by.is_somebody()) else { return work.await };
    by.check()?;
    let clock = &*core.services.clock;
    let at = clock.now();
    let line = Line { format: FORMAT, run: run.run, at, deed: deed(), by: by.clone(), in_vain: None };
    let name = name(at, core.services.chance.run_id(at))?;
    let key = EntryKey { kind: kind()?, tenant: run.tenant.clone(), name };
    let put = Put { key: key.clone(), value: Some(line.write()?), expect: Expect::Any };
    patiently(clock, durable.patience, || durable.store.put(put.clone())).await?;
    sweep(&durable.store, &run.tenant, core.services.limits.keep_audit, at).await;
    let done = work.await;
    let why = match &done {
        Ok(done) => in_vain(done),
        // Whether it was done is not known.
        Err(error) if error.is_transient() || error.kind() == ErrorKind::Closed => None,
        Err(error) => Some(error.chain().join(": ")),
    };
    if let Some(why) = why {
        let put = Put { key, value: Some(Line { in_vain: Some(why), ..line }.write()?), expect: Expect::Any };
        // That it was asked for is there.
        if let Err(error) = durable.store.put(put).await {
            tracing::warn!(run = %run.run, error = ?error, "it could not be noted that nothing came of what was done");
        }
    }
    done
}

/// Deletes a few of a tenant's entries whose time is over. What fails here is done the next time.
async fn sweep(store: &Arc<dyn Store>, tenant: &TenantId, keep: std::time::Duration, now: Timestamp) {
    let swept = async {
        let oldest = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX);
        let after = mark(Timestamp::from_micros(now.as_micros().saturating_sub(oldest)))?;
        let after = Some((tenant.clone(), after));
        let scan = Scan { kind: kind()?, tenant: Some(tenant.clone()), after, limit: SWEEP };
        for Entry { key, .. } in store.scan(scan).await? {
            store.put(Put { key, value: None, expect: Expect::Any }).await?;
        }
        Ok::<(), Error>(())
    };
    if let Err(error) = swept.await {
        tracing::warn!(%tenant, error = ?error, "entries of the audit whose time is over could not be deleted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = concat!(
        r#"{"format":1,"run":"01000000-0000-0000-0000-000000000000","at":5,"#,
        r#""deed":{"deed":"signal","signal":"paid"},"by":{"actor":"ann","reason":"by phone"},"in_vain":"no"}"#,
    );

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let line = Line::read(WRITTEN.as_bytes()).expect("it is an entry");
        assert_eq!(line.write().expect("it can be written"), WRITTEN);
        let later = WRITTEN.replace(r#""deed":"signal","signal":"paid""#, r#""deed":"teleport","to":7"#);
        assert_eq!(Line::read(later.as_bytes()).expect("of a later version").deed, Deed::Other);
        for damaged in ["", "{", "null", "{}", r#"{"format":1,"at":0}"#] {
            assert_eq!(Line::read(damaged.as_bytes()).expect_err(damaged).kind(), ErrorKind::Corrupt);
        }
        let newer = WRITTEN.replace("\"format\":1", "\"format\":2");
        assert_eq!(Line::read(newer.as_bytes()).expect_err("it is newer").kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn what_came_later_comes_first() {
        let names = [i64::MAX, 1_700_000_000_000_000, 5, 0, -5].map(|micros| {
            let time = Timestamp::from_micros(micros);
            name(time, RunId::named("x")).expect("a name").as_str().to_owned()
        });
        assert!(names.is_sorted(), "{names:?}");
        let (at, mark) = (&names[1], mark(Timestamp::from_micros(1_700_000_000_000_000)).expect("a name"));
        assert!(mark.as_str() < at.as_str(), "what has its time is behind it");
    }
}
