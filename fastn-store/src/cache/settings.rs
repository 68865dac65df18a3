//! What hosts say of a cache, and the way in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fastn_core::{EntryKind, Error, ErrorKind, Result};

use super::counts::{Gauges, ReadCacheCounts};
use super::line::Dial;
use super::place::Place;
use super::shelf::Shelf;
use super::store::CachedStore;
use super::terms::Terms;
use crate::{ReadThrough, Store};

/// A read-through cache in Redis, for hosts that list and look at runs more often than their database should have to answer.
/// Redis may be lost, slow, full or wiped at any moment: then the store answers.
///
/// What is answered from it:
///
/// | what | how old it may be |
/// |---|---|
/// | runs that have ended, looked up by their ids | [`ttl`](ReadCache::ttl), by default 5 minutes; they do not change, but may have been deleted meanwhile |
/// | … with all their records | the same, if [`histories`](ReadCache::histories) are kept; by default they are not |
/// | plans of definitions | `ttl` |
/// | lists of runs | [`list_ttl`](ReadCache::list_ttl), by default a second |
/// | entries of the kinds that are [named](ReadCache::entries), got or scanned | what was said with the kind |
///
/// Runs that have not ended, when they are looked up, and everything that decides always come from the store: claims, commits,
/// messages, queues, news, versions.
///
/// # Contract
/// * How old an answer is goes by the clock of Redis alone, from before the store was asked for it, so that neither the clocks
///   of other machines nor a Redis that was held up make it older.
/// * What was written through the same store is not missed. It passes its own cache by for a while after what it wrote; so
///   this is for those who look, and little comes from the cache where many runs are started.
/// * Several databases may share a Redis. Keys and values are bound to a secret in the database (an entry of the kind
///   `read-cache`) and to its URL: values that are damaged, foreign or forged count as none. A copy of a database under the same
///   URL that uses the same Redis has the same cache; give it another database number.
/// * No read waits longer for Redis than the [`timeout`](ReadCache::timeout). After a failure Redis is not asked until a
///   connection, made beside and tried after a span that grows from a tenth of a second to 5 s, has answered once. Nobody waits
///   for values to be written, and if too many are on their way the next are dropped.
///
/// Whoever may read the Redis reads the summaries of runs and, if they are kept, what runs were given and gave.
///
/// # Examples
/// ```no_run
/// use fastn_store::{ReadCache, ReadThrough as _};
///
/// # async fn host() -> fastn_core::Result<()> {
/// let cache = ReadCache::redis("redis://:secret@cache.internal/2")?;
/// let store = cache.before(fastn_store::open("postgres://app@db.internal/shop").await?)?;
/// println!("{:?}", cache.counts());
/// # Ok(()) }
/// ```
/// An engine is told with `EngineBuilder::read_through`.
#[derive(Clone, Debug)]
#[must_use]
pub struct ReadCache {
    place: Place,
    root_certificates: Option<PathBuf>,
    timeout: Duration,
    terms: Terms,
    gauges: Arc<Gauges>,
}

impl ReadCache {
    /// In the Redis at a URL: `redis://USER:PASSWORD@HOST:PORT/DATABASE`, the same encrypted with `rediss://`, or
    /// `unix:///PATH?db=DATABASE`. Servers that speak its protocol, such as Valkey, will do; clusters will not.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if it is no such URL. Nothing is connected yet.
    pub fn redis(url: &str) -> Result<Self> {
        Ok(Self {
            place: Place::parse(url)?,
            root_certificates: None,
            timeout: Duration::from_millis(20),
            terms: Terms {
                ended: Duration::from_secs(5 * 60),
                lists: Duration::from_secs(1),
                histories: false,
                entries: Vec::new(),
            },
            gauges: Arc::default(),
        })
    }

    /// How old an answer may be that is about an ended run or a definition; by default 5 minutes. Zero keeps none.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.terms.ended = ttl;
        self
    }

    /// How old a list of runs may be; by default a second. Zero keeps none.
    pub const fn list_ttl(mut self, ttl: Duration) -> Self {
        self.terms.lists = ttl;
        self
    }

    /// Whether ended runs are kept with their records, which hold what they were given and gave; by default not.
    pub const fn histories(mut self, kept: bool) -> Self {
        self.terms.histories = kept;
        self
    }

    /// Keeps entries of this kind, and pages of them, for so long: for kinds that are read often and changed rarely, such as
    /// what connectors are set up with. No values that are secret by themselves: they would be in Redis as they are in the
    /// store.
    pub fn entries(mut self, kind: EntryKind, ttl: Duration) -> Self {
        self.terms.entries.retain(|(other, _)| *other != kind);
        self.terms.entries.push((kind, ttl));
        self
    }

    /// How long somebody waits for Redis before the store is asked; by default 20 ms.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The file of certificates (PEM) by one of which `rediss://` must be vouched for; by default those of the system.
    pub fn root_certificates(mut self, file: impl Into<PathBuf>) -> Self {
        self.root_certificates = Some(file.into());
        self
    }

    /// What happened so far, in all stores that this value and its clones were put before.
    pub fn counts(&self) -> ReadCacheCounts {
        self.gauges.read()
    }
}

impl ReadThrough for ReadCache {
    fn before(&self, store: Arc<dyn Store>) -> Result<Arc<dyn Store>> {
        const OP: &str = "put a cache before a store";
        tokio::runtime::Handle::try_current().map_err(|e| Error::new(ErrorKind::Invalid, OP).caused_by(e))?;
        let dial = Dial::new(self.place.clone(), self.root_certificates.as_deref())?;
        let shelf = Shelf::new(dial, self.timeout, self.gauges.clone());
        Ok(Arc::new(CachedStore::new(store, shelf, self.terms.clone(), self.gauges.clone())))
    }
}
