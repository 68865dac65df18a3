//! What is kept beside runs.

use bytes::Bytes;
use fastn_core::{EntryKind, EntryName, Result, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::connection::transact;
use super::fault::{corrupt, fault};
use super::row::get as column;
use crate::entries::{changed, page};
use crate::{Entry, EntryKey, Put, Scan};

/// Reads an entry.
pub(super) fn get(conn: &Connection, key: &EntryKey) -> Result<Option<Entry>> {
    const OP: &str = "get entry";
    let mut select = conn
        .prepare_cached(
            "SELECT tenant, name, version, value FROM entries WHERE kind = ?1 AND tenant = ?2 AND name = ?3",
        )
        .map_err(fault(OP))?;
    let mut rows = select.query((key.kind.as_str(), key.tenant.as_str(), key.name.as_str())).map_err(fault(OP))?;
    rows.next().map_err(fault(OP))?.map(|row| entry(&key.kind, row)).transpose()
}

/// Compares and swaps an entry, in a transaction that no other process can come between.
pub(super) fn put(conn: &Connection, put: &Put) -> Result<u64> {
    const OP: &str = "put entry";
    transact(conn, OP, |conn| {
        let EntryKey { kind, tenant, name } = &put.key;
        let place = (kind.as_str(), tenant.as_str(), name.as_str());
        let found: Option<i64> = conn
            .prepare_cached("SELECT version FROM entries WHERE kind = ?1 AND tenant = ?2 AND name = ?3")
            .and_then(|mut select| select.query_row(place, |row| row.get(0)).optional())
            .map_err(fault(OP))?;
        let found = found.map(i64::cast_unsigned);
        if !put.expect.admits(found) {
            return Err(changed(put, found));
        }
        if put.value.is_none() && found.is_none() {
            return latest(conn, kind);
        }
        let version: i64 = conn
            .prepare_cached(
                "INSERT INTO entry_versions (kind, latest) VALUES (?1, 1)
                 ON CONFLICT (kind) DO UPDATE SET latest = latest + 1 RETURNING latest",
            )
            .and_then(|mut next| next.query_row([kind.as_str()], |row| row.get(0)))
            .map_err(fault(OP))?;
        match &put.value {
            Some(value) => conn
                .prepare_cached(
                    "INSERT INTO entries (kind, tenant, name, version, value) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (kind, tenant, name) DO UPDATE SET version = ?4, value = ?5",
                )
                .and_then(|mut write| write.execute(params![place.0, place.1, place.2, version, value.as_ref()])),
            None => conn
                .prepare_cached("DELETE FROM entries WHERE kind = ?1 AND tenant = ?2 AND name = ?3")
                .and_then(|mut delete| delete.execute(place)),
        }
        .map_err(fault(OP))?;
        Ok(version.cast_unsigned())
    })
}

/// Lists entries.
pub(super) fn scan(conn: &Connection, scan: &Scan) -> Result<Vec<Entry>> {
    // No tenant and no name is empty, so the empty one is before them all.
    let after = scan.after.as_ref().map_or(("", ""), |(tenant, name)| (tenant.as_str(), name.as_str()));
    let limit = i64::try_from(page(scan.limit)).unwrap_or(i64::MAX);
    match &scan.tenant {
        None => list(
            conn,
            &scan.kind,
            "SELECT tenant, name, version, value FROM entries
             WHERE kind = ?1 AND (tenant, name) > (?2, ?3) ORDER BY tenant, name LIMIT ?4",
            params![scan.kind.as_str(), after.0, after.1, limit],
        ),
        Some(tenant) if after.0 > tenant.as_str() => Ok(Vec::new()),
        Some(tenant) => list(
            conn,
            &scan.kind,
            "SELECT tenant, name, version, value FROM entries
             WHERE kind = ?1 AND tenant = ?2 AND name > ?3 ORDER BY name LIMIT ?4",
            params![scan.kind.as_str(), tenant.as_str(), if after.0 == tenant.as_str() { after.1 } else { "" }, limit],
        ),
    }
}

fn list(conn: &Connection, kind: &EntryKind, sql: &str, values: &[&dyn ToSql]) -> Result<Vec<Entry>> {
    const OP: &str = "scan entries";
    let mut select = conn.prepare_cached(sql).map_err(fault(OP))?;
    let mut rows = select.query(values).map_err(fault(OP))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(fault(OP))? {
        found.push(entry(kind, row)?);
    }
    Ok(found)
}

/// The last version of a kind.
pub(super) fn latest(conn: &Connection, kind: &EntryKind) -> Result<u64> {
    let latest: Option<i64> = conn
        .prepare_cached("SELECT latest FROM entry_versions WHERE kind = ?1")
        .and_then(|mut select| select.query_row([kind.as_str()], |row| row.get(0)).optional())
        .map_err(fault("look for entries"))?;
    Ok(latest.map_or(0, i64::cast_unsigned))
}

fn entry(kind: &EntryKind, row: &Row<'_>) -> Result<Entry> {
    const OP: &str = "read entry";
    let tenant = TenantId::new(column::<String>(row, 0)?).map_err(|e| corrupt(OP, e.to_string()))?;
    let name = EntryName::new(column::<String>(row, 1)?).map_err(|e| corrupt(OP, e.to_string()))?;
    let version = column::<i64>(row, 2)?.cast_unsigned();
    let value = Bytes::from(column::<Vec<u8>>(row, 3)?);
    Ok(Entry { key: EntryKey { kind: kind.clone(), tenant, name }, version, value })
}
