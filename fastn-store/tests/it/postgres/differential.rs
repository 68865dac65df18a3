//! Whatever is done to all, every store answers alike.

use std::sync::Arc;

use fastn_store::{LeaseClock, PostgresOptions, PostgresStore, Store};
#[cfg(feature = "sqlite")]
use fastn_store::{SqliteOptions, SqliteStore};
use fastn_testkit::differential::{Subject, run};

fn postgres(name: &'static str, options: PostgresOptions) -> Subject {
    let url = super::url();
    let open = move |number: u64| {
        let (url, options) = (url.clone(), options.clone());
        let options = options.schema(format!("differential_{name}_{number}")).lease_clock(LeaseClock::Caller);
        async move { Ok(Arc::new(PostgresStore::open(&url, options).await?) as Arc<dyn Store>) }
    };
    // Opened again, it still has the leases it had: an executor that died is waited for, since others may be alive.
    Subject::new(name, open).numbers_runs_of_queues_apart()
}

#[tokio::test]
async fn both_stores_answer_alike() {
    let tiny = PostgresOptions::default().journal_budget(500);
    let stores = [postgres("postgres", PostgresOptions::default()), postgres("tiny", tiny)];
    for seed in 0..20 {
        run(seed, &stores).await.unwrap_or_else(|difference| panic!("{difference}"));
    }
}

/// All three at once, with as many seeds as are asked for.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn memory_a_file_and_a_server_answer_alike() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let open = move |number: u64| {
        let path = path.join(format!("{number}.db"));
        async move { Ok(Arc::new(SqliteStore::open(path, SqliteOptions::default()).await?) as Arc<dyn Store>) }
    };
    let stores = [
        Subject::new("sqlite", open).reopens().gives_one_lease(),
        postgres("all", PostgresOptions::default().journal_budget(2_000)),
    ];
    let seeds = std::env::var("FASTN_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(20);
    for seed in 1_000..1_000 + seeds {
        run(seed, &stores).await.unwrap_or_else(|difference| panic!("{difference}"));
    }
}
