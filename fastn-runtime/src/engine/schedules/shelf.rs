//! Reading and changing what is kept of schedules.

use std::sync::Arc;

use fastn_core::{EntryName, ErrorKind, Result, TenantId};
use fastn_store::{EntryKey, Expect, Put, Store};

use super::stored::{Stored, kind};
use crate::engine::core::Core;

/// A schedule as it was found.
pub(super) struct Found {
    pub(super) version: u64,
    pub(super) stored: Stored,
}

/// What a schedule is known by in the store.
pub(super) fn key(tenant: &TenantId, name: EntryName) -> Result<EntryKey> {
    Ok(EntryKey { kind: kind()?, tenant: tenant.clone(), name })
}

/// Finds a schedule.
pub(super) async fn find(store: &Arc<dyn Store>, key: &EntryKey) -> Result<Option<Found>> {
    let entry = store.get(key).await?;
    entry.map(|entry| Ok(Found { version: entry.version, stored: Stored::read(&entry.value)? })).transpose()
}

/// Keeps a schedule, or deletes it, if it is still as expected; whether it was.
pub(super) async fn keep(core: &Core, key: &EntryKey, stored: Option<&Stored>, expect: Expect) -> Result<bool> {
    let value = stored.map(Stored::write).transpose()?;
    match core.services.store()?.put(Put { key: key.clone(), value, expect }).await {
        Ok(version) => {
            core.schedules.changed(version);
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}
