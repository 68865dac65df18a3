//! What a commit costs a store, and what a turn costs in commits of many.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may fail")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastn::store::{
    Batch, MemoryStore, RunNo, SqliteOptions, SqliteStore, Store, Synchronous, Then, Turn, Write, Written,
};
use fastn_testkit::sample;
use tokio::runtime::Runtime;

async fn commit(store: &dyn Store, lease: u64, writes: Vec<Write>) -> Vec<Written> {
    store.commit(Batch { lease: Some(lease), now: sample::at(1), writes }).await.unwrap()
}

/// So many runs under a lease.
async fn runs(store: &dyn Store, many: usize) -> (u64, Vec<RunNo>) {
    let lease = store.acquire(sample::lease_ask("bench", 1).unwrap()).await.unwrap().token;
    let new = |n| Write::Create(sample::new_run("bench", &format!("run {n}"), "bench").unwrap().into());
    let written = commit(store, lease, (0..many).map(new).collect()).await;
    let number = |written| if let Written::Created(no) = written { Some(no) } else { None };
    (lease, written.into_iter().filter_map(number).collect())
}

async fn sqlite(folder: &Path, synchronous: Synchronous) -> Arc<dyn Store> {
    let options = SqliteOptions::default().synchronous(synchronous);
    Arc::new(SqliteStore::open(folder.join("runs.db"), options).await.unwrap())
}

fn commits(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = c.benchmark_group("what does a commit cost");
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    for kind in ["memory", "sqlite normal", "sqlite full"] {
        for turns in [1, 64, 1_024] {
            // Where programs are built there is a real disk.
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let store: Arc<dyn Store> = match kind {
                "memory" => Arc::new(MemoryStore::new()),
                "sqlite normal" => runtime.block_on(sqlite(folder.path(), Synchronous::Normal)),
                _ => runtime.block_on(sqlite(folder.path(), Synchronous::Full)),
            };
            let (lease, runs) = runtime.block_on(runs(&*store, turns));
            let sampled = sample::turn(RunNo(1), 0, 1, Then::Run).unwrap();
            let mut first = 0;
            group.throughput(Throughput::Elements(turns as u64));
            group.bench_function(BenchmarkId::new(format!("of so many turns, {kind}"), turns), |b| {
                b.iter(|| {
                    let turn = |run: &RunNo| Write::Turn(Turn { run: *run, first, ..sampled.clone() });
                    let written = runtime.block_on(commit(&*store, lease, runs.iter().map(turn).collect()));
                    first += 1;
                    written
                });
            });
            runtime.block_on(store.close()).unwrap();
        }
    }
    group.finish();
}

criterion_group!(benches, commits);
criterion_main!(benches);
