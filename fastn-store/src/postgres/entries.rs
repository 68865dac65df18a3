//! What is kept beside runs.

use async_trait::async_trait;
use bytes::Bytes;
use fastn_core::{EntryKind, EntryName, Result, TenantId};
use tokio_postgres::Row;

use super::fault::{corrupt, fault};
use super::numbers::{stored, unsigned};
use super::row::get as column;
use super::store::PostgresStore;
use crate::entries::{changed, page};
use crate::{Entry, EntryKey, Expect, Put, QUEUE, Repository, Scan};

#[async_trait]
impl Repository for PostgresStore {
    async fn get(&self, key: &EntryKey) -> Result<Option<Entry>> {
        const OP: &str = "get entry";
        self.healed(async {
            let client = self.connect(OP).await?;
            let select = client
                .prepare_cached(
                    "SELECT tenant, name, version, value FROM entries WHERE kind = $1 AND tenant = $2 AND name = $3",
                )
                .await
                .map_err(fault(OP))?;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
                [&key.kind.as_str(), &key.tenant.as_str(), &key.name.as_str()];
            let row = client.query_opt(&select, &values).await.map_err(fault(OP))?;
            row.map(|row| entry(&key.kind, &row)).transpose()
        })
        .await
    }

    async fn put(&self, put: Put) -> Result<u64> {
        const OP: &str = "put entry";
        self.healed(async {
            let client = self.connect(OP).await?;
            let function = client
                .prepare_cached("SELECT admitted, new_version, present FROM put_entry_1($1, $2, $3, $4, $5, $6)")
                .await
                .map_err(fault(OP))?;
            let (expect, version): (i16, i64) = match put.expect {
                Expect::Any => (0, 0),
                Expect::Absent => (1, 0),
                Expect::Version(version) => (2, stored(version)),
            };
            let EntryKey { kind, tenant, name } = &put.key;
            let row = client
                .query_one(
                    &function,
                    &[&kind.as_str(), &tenant.as_str(), &name.as_str(), &put.value.as_deref(), &expect, &version],
                )
                .await
                .map_err(fault(OP))?;
            if column::<bool>(&row, 0)? {
                if kind.as_str() == QUEUE {
                    // Were it lost, others would see the new rules a little later.
                    client.execute("SELECT pg_notify($1, 'q')", &[&self.channel()]).await.map_err(fault(OP))?;
                    self.board().tell_queues();
                }
                unsigned(column(&row, 1)?)
            } else {
                Err(changed(&put, column::<Option<i64>>(&row, 2)?.map(unsigned).transpose()?))
            }
        })
        .await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>> {
        const OP: &str = "scan entries";
        self.healed(async {
            let client = self.connect(OP).await?;
            // No tenant and no name is empty, so the empty one is before them all.
            let after = scan.after.as_ref().map_or(("", ""), |(tenant, name)| (tenant.as_str(), name.as_str()));
            let (tenant, limit) =
                (scan.tenant.as_ref().map(TenantId::as_str), i64::try_from(page(scan.limit)).unwrap_or(i64::MAX));
            let select = client
                .prepare_cached(
                    "SELECT tenant, name, version, value FROM entries
                 WHERE kind = $1 AND (tenant, name) > ($2, $3) AND ($4::text IS NULL OR tenant = $4)
                 ORDER BY tenant, name LIMIT $5",
                )
                .await
                .map_err(fault(OP))?;
            // From where the tenant's begin, so that those of others are not walked over.
            let from = match tenant {
                Some(tenant) if after.0 < tenant => (tenant, ""),
                _ => after,
            };
            let rows = client
                .query(&select, &[&scan.kind.as_str(), &from.0, &from.1, &tenant, &limit])
                .await
                .map_err(fault(OP))?;
            rows.iter().map(|row| entry(&scan.kind, row)).collect()
        })
        .await
    }

    async fn latest(&self, kind: &EntryKind) -> Result<u64> {
        const OP: &str = "look for entries";
        self.healed(async {
            let client = self.connect(OP).await?;
            let select =
                client.prepare_cached("SELECT latest FROM entry_versions WHERE kind = $1").await.map_err(fault(OP))?;
            let row = client.query_opt(&select, &[&kind.as_str()]).await.map_err(fault(OP))?;
            row.map_or(Ok(0), |row| unsigned(column(&row, 0)?))
        })
        .await
    }
}

fn entry(kind: &EntryKind, row: &Row) -> Result<Entry> {
    const OP: &str = "read entry";
    let tenant = TenantId::new(column::<String>(row, 0)?).map_err(|e| corrupt(OP, e.to_string()))?;
    let name = EntryName::new(column::<String>(row, 1)?).map_err(|e| corrupt(OP, e.to_string()))?;
    let (version, value) = (unsigned(column(row, 2)?)?, Bytes::from(column::<Vec<u8>>(row, 3)?));
    Ok(Entry { key: EntryKey { kind: kind.clone(), tenant, name }, version, value })
}
