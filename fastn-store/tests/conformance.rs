//! The stores of this crate do what every store promises.
#![allow(clippy::expect_used, reason = "tests may fail")]

use std::process::ExitCode;
use std::sync::Arc;

use fastn_store::{MemoryStore, Store};
use fastn_testkit::conformance::Suite;

fn main() -> ExitCode {
    let suite = Suite::new().backend("memory", || async { Ok(Some(Arc::new(MemoryStore::new()) as Arc<dyn Store>)) });
    #[cfg(feature = "sqlite")]
    let (suite, _folder) = sqlite::add(suite);
    #[cfg(feature = "postgres")]
    let suite = postgres::add(suite);
    #[cfg(feature = "redis")]
    let suite = redis::add(suite);
    suite.run()
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use fastn_store::{SqliteOptions, SqliteStore, Store};
    use fastn_testkit::conformance::{Capability, Suite};
    use tempfile::TempDir;

    /// Adds the SQLite store as it comes, and with a journal so small that records move on all the time.
    pub(crate) fn add(suite: Suite) -> (Suite, TempDir) {
        let folder = tempfile::tempdir().expect("a folder for databases can be made");
        let fresh = |name: &'static str, options: SqliteOptions| {
            let (folder, count) = (folder.path().to_owned(), Arc::new(AtomicU64::new(0)));
            move || {
                let path = folder.join(format!("{name} {}.db", count.fetch_add(1, Ordering::Relaxed)));
                let options = options.clone();
                async move { Ok(Some(Arc::new(SqliteStore::open(path, options).await?) as Arc<dyn Store>)) }
            }
        };
        let suite = suite
            .backend("sqlite", fresh("sqlite", SqliteOptions::default()))
            .without(Capability::ManyLeases)
            .backend("sqlite-tiny-journal", fresh("tiny", SqliteOptions::default().journal_budget(500)))
            .without(Capability::ManyLeases);
        (suite, folder)
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use fastn_store::{LeaseClock, PostgresOptions, PostgresStore, Store};
    use fastn_testkit::conformance::Suite;
    use fastn_testkit::server::PrivatePostgres;

    /// Adds the Postgres store as it comes, and with a journal so small that records move on all the time. Leases end by
    /// the time of the cases, which is not the server's.
    pub(crate) fn add(suite: Suite) -> Suite {
        let fresh = |name: &'static str, options: PostgresOptions| {
            let count = Arc::new(AtomicU64::new(0));
            move || {
                let schema = format!("{name}_{}", count.fetch_add(1, Ordering::Relaxed));
                let options = options.clone().lease_clock(LeaseClock::Caller).schema(schema);
                async move {
                    let server = PrivatePostgres::shared()?;
                    Ok(Some(Arc::new(PostgresStore::open(&server.url("postgres"), options).await?) as Arc<dyn Store>))
                }
            }
        };
        suite
            .backend("postgres", fresh("plain", PostgresOptions::default()))
            .backend("postgres-tiny-journal", fresh("tiny", PostgresOptions::default().journal_budget(500)))
    }
}

#[cfg(feature = "redis")]
mod redis {
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, OnceLock};
    use std::time::Duration;

    use fastn_core::{EntryKind, Result};
    use fastn_store::{MemoryStore, ReadCache, ReadThrough as _, Store};
    use fastn_testkit::conformance::{Capability, Suite};
    use fastn_testkit::server::PrivateRedis;

    /// Adds stores behind a cache that keeps all it can for longer than any case takes: with a Redis that works, with none, with
    /// one that accepts connections and never answers, and with one that is full.
    pub(crate) fn add(suite: Suite) -> Suite {
        let memory = || Arc::new(MemoryStore::new()) as Arc<dyn Store>;
        let before = |store: Arc<dyn Store>, url: &str| -> Result<Option<Arc<dyn Store>>> {
            let kind = EntryKind::new("k").expect("a name");
            let (long, cache) = (Duration::from_secs(600), ReadCache::redis(url)?);
            let cache = cache.ttl(long).list_ttl(long).histories(true).entries(kind, long);
            cache.before(store).map(Some)
        };
        let suite = suite
            .backend("cached-memory", move || async move { before(memory(), &PrivateRedis::shared()?.url(0)) })
            .backend("cached-memory-without-redis", move || async move {
                // Nobody listens at this port.
                before(memory(), "redis://127.0.0.1:1")
            })
            .backend("cached-memory-with-a-deaf-redis", move || async move { before(memory(), &deaf()?.url(0)) })
            .backend("cached-memory-with-a-full-redis", move || async move { before(memory(), &full()?.url(0)) });
        #[cfg(feature = "sqlite")]
        let suite = {
            let folder = Arc::new(tempfile::tempdir().expect("a folder for databases can be made"));
            let count = Arc::new(AtomicU64::new(0));
            suite
                .backend("cached-sqlite", move || {
                    let (folder, count) = (folder.clone(), count.fetch_add(1, Ordering::Relaxed));
                    async move {
                        let path = folder.path().join(format!("cached {count}.db"));
                        let store = fastn_store::SqliteStore::open(path, fastn_store::SqliteOptions::default()).await?;
                        before(Arc::new(store), &PrivateRedis::shared()?.url(0))
                    }
                })
                .without(Capability::ManyLeases)
        };
        #[cfg(feature = "postgres")]
        let suite = {
            let count = Arc::new(AtomicU64::new(0));
            suite.backend("cached-postgres", move || {
                let schema = format!("cached_{}", count.fetch_add(1, Ordering::Relaxed));
                async move {
                    let options = fastn_store::PostgresOptions::default().schema(schema);
                    let options = options.lease_clock(fastn_store::LeaseClock::Caller);
                    let url = fastn_testkit::server::PrivatePostgres::shared()?.url("postgres");
                    let store = fastn_store::PostgresStore::open(&url, options).await?;
                    before(Arc::new(store), &PrivateRedis::shared()?.url(0))
                }
            })
        };
        suite
    }

    fn deaf() -> Result<&'static PrivateRedis> {
        static DEAF: OnceLock<PrivateRedis> = OnceLock::new();
        if DEAF.get().is_none() {
            let server = PrivateRedis::start()?;
            server.pause()?;
            // Whoever came second stops its own.
            drop(DEAF.set(server));
        }
        Ok(DEAF.get().expect("it was set"))
    }

    fn full() -> Result<&'static PrivateRedis> {
        static FULL: OnceLock<PrivateRedis> = OnceLock::new();
        if FULL.get().is_none() {
            let server = PrivateRedis::start_with(&[("maxmemory", "1"), ("maxmemory-policy", "noeviction")])?;
            drop(FULL.set(server));
        }
        Ok(FULL.get().expect("it was set"))
    }
}
