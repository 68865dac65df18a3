//! Small values that are kept beside runs: everything outside the hot path.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use fastn_core::{EntryKind, EntryName, Result, TenantId};

/// Keeps small values, such as schedules, each with a version by which it is changed.
///
/// # Contract
/// * [`put`](Repository::put) compares and swaps: whether the entry is as expected and the change are one atomic step,
///   whoever else puts at the same time, in whichever process. When it returns `Ok`, the change is on disk (as far as the
///   store promises disks).
/// * The versions of a kind only grow: every put that changes something gives a larger one than every put of that kind
///   before it, deletions included. So no version comes back when an entry is deleted and created again.
/// * What was put is read by every later [`get`](Repository::get) and [`scan`](Repository::scan), of any process.
/// * No lease is needed, and none fences: whoever must not overwrite what changed expects a version.
/// * Names are ordered by their bytes in UTF-8, whatever the place's language.
///
/// # Errors
/// Of every method: those of every method of [`Store`](crate::Store), and what the method says itself.
///
/// # Cancel safety
/// Of every method: dropping the future does not undo the call; it may still take effect.
#[async_trait]
pub trait Repository: fmt::Debug + Send + Sync + 'static {
    /// Gives an entry; `None` if there is none.
    async fn get(&self, key: &EntryKey) -> Result<Option<Entry>>;

    /// Creates, changes or deletes an entry, and gives the new version. Deleting what is not there changes nothing, and
    /// gives the version of [`latest`](Repository::latest).
    ///
    /// # Errors
    /// [`Conflict`](fastn_core::ErrorKind::Conflict) if the entry is not as expected; then nothing changes. After
    /// [`Unavailable`](fastn_core::ErrorKind::Unavailable) it may have taken effect: get the entry to know.
    async fn put(&self, put: Put) -> Result<u64>;

    /// Lists entries of a kind in the order of their tenants and names.
    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>>;

    /// The version of the last put that changed something of this kind; 0 if there was none. A cheap way to see that
    /// nothing has changed.
    async fn latest(&self, kind: &EntryKind) -> Result<u64>;
}

/// What an entry is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryKey {
    /// What it is.
    pub kind: EntryKind,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its name.
    pub name: EntryName,
}

/// A value that is kept, as it was put last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is known by.
    pub key: EntryKey,
    /// Its version, larger than 0.
    pub version: u64,
    /// The value: bytes to a store.
    pub value: Bytes,
}

/// Asks for an entry to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Which.
    pub key: EntryKey,
    /// What it is to be; `None` deletes it.
    pub value: Option<Bytes>,
    /// What it must be before.
    pub expect: Expect,
}

/// What must be so for an entry to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expect {
    /// Nothing.
    Any,
    /// There is no such entry.
    Absent,
    /// There is one, and it has this version.
    Version(u64),
}

impl Expect {
    /// Whether an entry with this version, or none, is as expected.
    pub fn admits(self, found: Option<u64>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => found.is_none(),
            Self::Version(version) => found == Some(version),
        }
    }
}

/// Which entries to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Of which kind.
    pub kind: EntryKind,
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only those behind this one: the last of the page before.
    pub after: Option<(TenantId, EntryName)>,
    /// At most so many; 0 is taken as 100. Fewer are given only if there are no more.
    pub limit: u32,
}
