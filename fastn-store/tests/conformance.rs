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
