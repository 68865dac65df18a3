//! What is done to the entries of the stores.

use bytes::Bytes;
use fastn_core::{BoxError, EntryKind, EntryName, Error, ErrorKind, Result, TenantId};
use fastn_store::{Entry, EntryKey, Expect, Put, Scan, Store};

use crate::dice::Dice;

/// Something that is done to an entry, or a look at entries.
#[derive(Clone, Debug)]
pub(super) enum EntryDeed {
    Put { place: Place, value: Option<&'static str>, expect: Expected },
    Get { place: Place },
    Scan { tenant: Option<&'static str>, after: Option<Place>, limit: u32 },
}

/// An entry, by what it is known by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    kind: &'static str,
    tenant: &'static str,
    name: &'static str,
}

/// What is expected of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    Any,
    Absent,
    /// The version that the put gave that was so many puts ago.
    Given(u64),
}

const KINDS: &[&str] = &["k", "l"];
const TENANTS: &[&str] = &["t", "\u{1F600}"];
const NAMES: &[&str] = &["a", "A", "Ab", "a b", "\u{fffd}", "\u{10000}"];
const VALUES: &[&str] = &["", "\0", "1", "'; --"];

/// What a seed decides.
pub(super) fn entry_deed(dice: &mut Dice) -> EntryDeed {
    match dice.below(6) {
        0 => EntryDeed::Get { place: place(dice) },
        1 => EntryDeed::Scan {
            tenant: dice.one_in(2).then(|| dice.pick(TENANTS)),
            after: dice.one_in(2).then(|| place(dice)),
            limit: u32::try_from(dice.below(5)).unwrap_or(0),
        },
        _ => {
            let expect = match dice.below(4) {
                0 => Expected::Any,
                1 => Expected::Absent,
                _ => Expected::Given(dice.below(4)),
            };
            let value = (!dice.one_in(4)).then(|| dice.pick(VALUES));
            EntryDeed::Put { place: place(dice), value, expect }
        }
    }
}

fn place(dice: &mut Dice) -> Place {
    Place { kind: dice.pick(KINDS), tenant: dice.pick(TENANTS), name: dice.pick(NAMES) }
}

impl Place {
    fn key(self) -> Result<EntryKey> {
        fn invalid(why: impl Into<BoxError>) -> Error {
            Error::new(ErrorKind::Invalid, "make a sample").caused_by(why)
        }
        let (kind, tenant) = (EntryKind::new(self.kind).map_err(invalid)?, TenantId::new(self.tenant));
        let name = EntryName::new(self.name).map_err(invalid)?;
        Ok(EntryKey { kind, tenant: tenant.map_err(invalid)?, name })
    }
}

/// The versions that a store gave, in order: each store may give other numbers.
#[derive(Debug, Default)]
pub(super) struct Versions(Vec<u64>);

impl Versions {
    /// Does it and gives the answer as text, in which versions are meant by their places.
    pub(super) async fn answer(&mut self, store: &dyn Store, deed: &EntryDeed) -> Result<String> {
        match deed {
            EntryDeed::Put { place, value, expect } => {
                let key = place.key()?;
                let before = store.latest(&key.kind).await?;
                let value = value.map(|value| Bytes::from_static(value.as_bytes()));
                let version = store.put(Put { key, value, expect: self.expect(*expect) }).await?;
                if version == before {
                    return Ok("nothing changed".to_owned());
                }
                self.0.push(version);
                Ok(format!("put, a larger version: {}", version > before))
            }
            EntryDeed::Get { place } => {
                let entry = store.get(&place.key()?).await?;
                Ok(entry.map_or_else(|| "no entry".to_owned(), |entry| self.told(&entry)))
            }
            EntryDeed::Scan { tenant, after, limit } => {
                let tenant = tenant.and_then(|tenant| TenantId::new(tenant).ok());
                let after = after.map(Place::key).transpose()?.map(|key| (key.tenant, key.name));
                let kind = Place { kind: "k", tenant: "t", name: "n" }.key()?.kind;
                let found = store.scan(Scan { kind, tenant, after, limit: *limit }).await?;
                Ok(found.iter().map(|entry| self.told(entry)).collect())
            }
        }
    }

    fn expect(&self, expected: Expected) -> Expect {
        match expected {
            Expected::Any => Expect::Any,
            Expected::Absent => Expect::Absent,
            Expected::Given(ago) => {
                let version = usize::try_from(ago).ok().and_then(|ago| self.0.iter().rev().nth(ago));
                Expect::Version(version.copied().unwrap_or(u64::MAX))
            }
        }
    }

    fn told(&self, entry: &Entry) -> String {
        let given = self.0.iter().rposition(|version| *version == entry.version);
        format!("; {:?} {given:?} {:?}", entry.key, entry.value)
    }
}
