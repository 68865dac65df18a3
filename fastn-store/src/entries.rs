//! Entries in memory, and the rules by which every store keeps them.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use bytes::Bytes;
use fastn_core::{EntryKind, EntryName, Error, ErrorKind, Result, TenantId};

use crate::{Entry, EntryKey, Put, Scan};

/// The entries of a memory store.
#[derive(Debug, Default)]
pub(crate) struct Entries(HashMap<EntryKind, Shelf>);

/// The entries of one kind.
#[derive(Debug, Default)]
struct Shelf {
    /// As they are listed, each with its version.
    entries: BTreeMap<(TenantId, EntryName), (u64, Bytes)>,
    latest: u64,
}

impl Entries {
    pub(crate) fn get(&self, key: &EntryKey) -> Option<Entry> {
        let place = place(key);
        let (version, value) = self.0.get(&key.kind)?.entries.get(&place)?;
        Some(entry(&key.kind, &place, *version, value))
    }

    pub(crate) fn put(&mut self, put: Put) -> Result<u64> {
        let shelf = self.0.entry(put.key.kind.clone()).or_default();
        let place = place(&put.key);
        let found = shelf.entries.get(&place).map(|(version, _)| *version);
        if !put.expect.admits(found) {
            return Err(changed(&put, found));
        }
        if put.value.is_some() || found.is_some() {
            shelf.latest += 1;
            match put.value {
                Some(value) => shelf.entries.insert(place, (shelf.latest, value)),
                None => shelf.entries.remove(&place),
            };
        }
        Ok(shelf.latest)
    }

    pub(crate) fn scan(&self, scan: &Scan) -> Vec<Entry> {
        let Some(shelf) = self.0.get(&scan.kind) else { return Vec::new() };
        let after = scan.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let found = shelf.entries.range((after, Bound::Unbounded));
        let wanted = found.filter(|((tenant, _), _)| scan.tenant.as_ref().is_none_or(|only| only == tenant));
        wanted
            .take(page(scan.limit))
            .map(|(place, (version, value))| entry(&scan.kind, place, *version, value))
            .collect()
    }

    pub(crate) fn latest(&self, kind: &EntryKind) -> u64 {
        self.0.get(kind).map_or(0, |shelf| shelf.latest)
    }
}

fn place(key: &EntryKey) -> (TenantId, EntryName) {
    (key.tenant.clone(), key.name.clone())
}

fn entry(kind: &EntryKind, (tenant, name): &(TenantId, EntryName), version: u64, value: &Bytes) -> Entry {
    let key = EntryKey { kind: kind.clone(), tenant: tenant.clone(), name: name.clone() };
    Entry { key, version, value: value.clone() }
}

/// How many entries a page has at most.
pub(crate) fn page(limit: u32) -> usize {
    if limit == 0 { 100 } else { usize::try_from(limit).unwrap_or(usize::MAX) }
}

/// The error of a put that found another entry than it expected.
pub(crate) fn changed(put: &Put, found: Option<u64>) -> Error {
    let EntryKey { kind, tenant, name } = &put.key;
    let found = found.map_or_else(|| "no entry".to_owned(), |version| format!("version {version}"));
    Error::new(ErrorKind::Conflict, "put entry")
        .with("kind", kind)
        .with("tenant", tenant)
        .with("name", name)
        .caused_by(format!("expected {:?}, found {found}", put.expect))
}
