//! What the Postgres store promises beyond what every store does.

mod answers;
mod differential;
mod durability;
mod effects;
mod flights;
mod gone;
mod host;
mod leases;
mod retire;
mod retiring;
mod rival;
mod schema;
mod states;
mod tls;
mod upkeep;

use std::sync::atomic::{AtomicU64, Ordering};

use fastn_store::{PostgresOptions, PostgresStore};
use fastn_testkit::server::PrivatePostgres;

/// A schema of one's own on the server that all tests share.
fn fresh(what: &str) -> PostgresOptions {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    PostgresOptions::default().schema(format!("{what}_{}", COUNT.fetch_add(1, Ordering::Relaxed)))
}

/// The same, and its name.
fn named(what: &str) -> (String, PostgresOptions) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let schema = format!("{what}_by_name_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    (schema.clone(), PostgresOptions::default().schema(schema))
}

pub(crate) fn url() -> String {
    PrivatePostgres::shared().unwrap().url("postgres")
}

async fn open(options: &PostgresOptions) -> PostgresStore {
    PostgresStore::open(&url(), options.clone()).await.unwrap()
}

/// Does one statement in the shared database.
fn sql(statement: &str) -> String {
    PrivatePostgres::shared().unwrap().sql("postgres", statement).unwrap()
}
