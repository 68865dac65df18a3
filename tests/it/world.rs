//! What the tests share: steps, flows, stores.

use std::future::Future;
use std::sync::{Arc, Mutex};

use fastn::prelude::*;
use fastn::store::{LeaseClock, MemoryStore, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore, Store};
use fastn_testkit::server::PrivatePostgres;

pub(crate) type Res<T> = Result<T, StepError>;

/// What steps did, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| *line == what).count()
    }
}

/// Whether every run is unloaded after every turn: the suite that does so is the same tests under another name. Copies of
/// this program are of the same suite, so there is nothing to tell them.
const UNLOADS: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"suspended");

/// What engines are made with.
pub(crate) fn builder() -> fastn::runtime::EngineBuilder {
    Engine::builder().always_suspend(UNLOADS)
}

/// For how many seconds something that takes longer the more is to be found goes on; half as long where it is done once more
/// with every run unloaded.
pub(crate) fn seconds(variable: &str, usual: u64) -> u64 {
    let said = std::env::var(variable).ok().map(|seconds| seconds.parse().unwrap());
    said.unwrap_or(if UNLOADS { usual / 2 } else { usual })
}

pub(crate) fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

/// Does a test on a store of each kind.
pub(crate) async fn on_every_store(name: &str, test: impl AsyncFn(Arc<dyn Store>)) {
    on_stores(name, LeaseClock::Server, test).await;
}

/// Does a test whose time is its own on a store of each kind.
pub(crate) async fn on_every_store_in_its_own_time(name: &str, test: impl AsyncFn(Arc<dyn Store>)) {
    on_stores(name, LeaseClock::Caller, test).await;
}

async fn on_stores(name: &str, clock: LeaseClock, test: impl AsyncFn(Arc<dyn Store>)) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(folder.path().join("runs.db"), SqliteOptions::default()).await.unwrap();
    let url = PrivatePostgres::shared().unwrap().database(name).unwrap();
    let postgres = PostgresStore::open(&url, PostgresOptions::default().lease_clock(clock)).await.unwrap();
    for store in [memory(), Arc::new(sqlite), Arc::new(postgres)] {
        test(store.clone()).await;
        store.close().await.unwrap();
    }
}

/// A step that notes its name and passes its value on.
pub(crate) fn noted(log: &Log, name: &'static str) -> impl Fn(u64) -> StepFuture + Clone + Send + Sync + 'static {
    let log = log.clone();
    move |n| {
        let log = log.clone();
        Box::pin(async move {
            log.note(name);
            Ok(n)
        })
    }
}

pub(crate) type StepFuture = std::pin::Pin<Box<dyn Future<Output = Res<u64>> + Send>>;

/// A step that always fails.
pub(crate) async fn fails(_: u64) -> Res<u64> {
    Err(StepError::new("no"))
}

pub(crate) async fn failure_of<O: serde::de::DeserializeOwned>(run: &RunHandle<O>) -> (RunStatus, Failure) {
    let outcome = run.outcome().await.unwrap();
    let status = run.status().await.unwrap();
    match outcome {
        Outcome::Failed(failure) | Outcome::Cancelled(failure) | Outcome::Stuck(failure) => (status, failure),
        other => panic!("the run did not fail: {other}"),
    }
}
