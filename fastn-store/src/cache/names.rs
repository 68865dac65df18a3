//! Under which keys answers are kept, and whose they are.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use bytes::Bytes;
use fastn_core::{BoxError, EntryKind, EntryName, Error, ErrorKind, Result, TenantId};

use crate::{DefinitionKey, EntryKey, Expect, Put, RunKey, RunQuery, Scan, Store};

/// What one store's answers are known by in a Redis that others may use as well.
pub(super) struct Names {
    /// What all keys begin with: the format of keys and values, and the store.
    prefix: String,
    /// What values are proved by.
    pub(super) secret: [u8; 32],
}

impl Names {
    /// Those of this store: they follow from a secret that is an entry of it, made by who looks first, and from where the
    /// store is, so that a copy of a database elsewhere has names of its own.
    ///
    /// # Errors
    /// As of the store.
    pub(super) async fn of(store: &dyn Store) -> Result<Self> {
        let wrong = |e: BoxError| Error::new(ErrorKind::Internal, "name the cache of a store").caused_by(e);
        let kind = EntryKind::new("read-cache").map_err(|e| wrong(e.into()))?;
        let name = EntryName::new("identity").map_err(|e| wrong(e.into()))?;
        let key = EntryKey { kind, tenant: TenantId::default(), name };
        let identity = match store.get(&key).await? {
            Some(entry) => entry.value,
            None => {
                let drawn = Bytes::from([chance(), chance()].concat());
                let put = Put { key: key.clone(), value: Some(drawn.clone()), expect: Expect::Absent };
                match store.put(put).await {
                    Ok(_) => drawn,
                    Err(error) if error.kind() == ErrorKind::Conflict => {
                        let lost = || Error::new(ErrorKind::Unavailable, "name the cache of a store");
                        store.get(&key).await?.ok_or_else(lost)?.value
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(Self::from(&identity, &store.name()))
    }

    fn from(identity: &[u8], place: &str) -> Self {
        let both = [&(identity.len() as u64).to_be_bytes()[..], identity, place.as_bytes()].concat();
        let space = blake3::derive_key("fastn 2026 read cache, the space of a store", &both);
        let secret = blake3::derive_key("fastn 2026 read cache, the proof of values", &both);
        let space: String = space.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { prefix: format!("fastn:1:{space}:"), secret }
    }

    /// Of a run without its records, and of one with them.
    pub(super) fn run(&self, run: &RunKey, records: bool) -> String {
        self.key(if records { "h" } else { "r" }, &[run.tenant.as_str().as_bytes(), run.run.as_bytes()])
    }

    /// Of a definition's plan.
    pub(super) fn plan(&self, tenant: &TenantId, definition: &DefinitionKey) -> String {
        let DefinitionKey { workflow, version, shape } = definition;
        let version = version.0.to_be_bytes();
        self.key("p", &[tenant.as_str().as_bytes(), workflow.as_str().as_bytes(), &version, &shape.0])
    }

    /// Of a page of runs.
    pub(super) fn page(&self, query: &RunQuery) -> String {
        let RunQuery { tenant, workflow, status, holder, before, limit } = query;
        let status: Vec<u8> = status.iter().map(|status| status.code()).collect();
        let [holder, before] = [*holder, before.map(|no| no.0)].map(|number| number.map(u64::to_be_bytes));
        self.key(
            "l",
            &[
                tenant.as_ref().map_or(&[], |tenant| tenant.as_str().as_bytes()),
                workflow.as_ref().map_or(&[], |workflow| workflow.as_str().as_bytes()),
                &status,
                holder.as_ref().map_or(&[], |token| token),
                before.as_ref().map_or(&[], |no| no),
                &limit.to_be_bytes(),
            ],
        )
    }

    /// Of an entry.
    pub(super) fn entry(&self, key: &EntryKey) -> String {
        self.key("e", &[key.kind.as_str().as_bytes(), key.tenant.as_str().as_bytes(), key.name.as_str().as_bytes()])
    }

    /// Of a page of entries.
    pub(super) fn entries(&self, scan: &Scan) -> String {
        let Scan { kind, tenant, after, limit } = scan;
        self.key(
            "s",
            &[
                kind.as_str().as_bytes(),
                tenant.as_ref().map_or(&[], |tenant| tenant.as_str().as_bytes()),
                after.as_ref().map_or(&[], |(tenant, _)| tenant.as_str().as_bytes()),
                after.as_ref().map_or(&[], |(_, name)| name.as_str().as_bytes()),
                &limit.to_be_bytes(),
            ],
        )
    }

    /// Names have any length, and are no business of who looks into a Redis: so only their hash is there. None is empty, so
    /// that an empty part is one that was not said.
    fn key(&self, what: &str, parts: &[&[u8]]) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
        }
        let hash = hasher.finalize().to_hex();
        format!("{}{what}:{}", self.prefix, hash.get(..32).unwrap_or_default())
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Names({})", self.prefix)
    }
}

/// 64 bits from the operating system, through the keys of the standard library's hash.
fn chance() -> [u8; 8] {
    RandomState::new().hash_one(std::process::id()).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fastn_core::{RunId, WorkflowName};

    use super::*;
    use crate::{RunNo, RunStatus};

    #[test]
    fn whatever_differs_has_another_key() {
        let names = Names::from(b"identity", "memory");
        let tenant = |name: &str| TenantId::new(name).expect("a name");
        let run = |tenant: TenantId, name: &str| RunKey { tenant, run: RunId::named(name) };
        let (query, no) = (RunQuery::default(), Some(RunNo(0)));
        let workflow = Some(WorkflowName::new("a").expect("a name"));
        let keys = [
            names.run(&run(tenant("a"), "x"), false),
            names.run(&run(tenant("a"), "x"), true),
            names.run(&run(tenant("a"), "y"), false),
            names.run(&run(tenant("b"), "x"), false),
            Names::from(b"identity", "sqlite:x").run(&run(tenant("a"), "x"), false),
            Names::from(b"another", "memory").run(&run(tenant("a"), "x"), false),
            names.page(&query),
            names.page(&RunQuery { tenant: Some(tenant("a")), ..query.clone() }),
            names.page(&RunQuery { workflow, ..query.clone() }),
            names.page(&RunQuery { status: vec![RunStatus::Pending], ..query.clone() }),
            names.page(&RunQuery { before: no, ..query.clone() }),
            names.page(&RunQuery { holder: Some(7), ..query.clone() }),
            names.page(&RunQuery { limit: 1, ..query }),
        ];
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{keys:#?}");
        assert!(keys.iter().all(|key| key.starts_with("fastn:1:") && key.len() < 64), "{keys:#?}");
    }
}
