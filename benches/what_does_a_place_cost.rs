//! What it costs to start runs of a queue, and to add items to runs, one by one by many tasks at the same time.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may fail")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastn::prelude::*;
use fastn::runtime::{Batching, Queue};
use fastn_testkit::server::PrivatePostgres;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// So many tasks, of which each starts so many.
const TASKS: u64 = 128;
const EACH: u64 = 8;

async fn count(items: Vec<u64>) -> Result<u64, StepError> {
    Ok(items.len() as u64)
}

async fn pass(n: u64) -> Result<u64, StepError> {
    Ok(n)
}

async fn at_once<F>(start: impl Fn(u64) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let starts: Vec<_> = (0..EACH).map(|n| start(task * EACH + n)).collect();
        tasks.spawn(async move {
            for start in starts {
                start.await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

fn places(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let server = PrivatePostgres::start().unwrap();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let sqlite = format!("sqlite:{}", folder.path().join("runs.db").display());
    let mut group = c.benchmark_group("what does a place cost");
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(TASKS * EACH));
    let flow = workflow("run").define(|flow, n| flow.step("pass", pass, n)).unwrap();
    let list = workflow("list").define(|flow, items| flow.step("count", count, items)).unwrap();
    for (store, url) in [("sqlite", sqlite), ("postgres", server.database("places").unwrap())] {
        let engine = runtime.block_on(async {
            let builder = Engine::builder().store(url).queue(Queue::new("q").concurrency(1)).serve(&flow).serve(&list);
            let engine = builder.open().await.unwrap();
            // It is the places that are measured, and not the runs.
            engine.queues().pause("q").await.unwrap();
            engine
        });
        group.bench_function(BenchmarkId::new("of a run", store), |b| {
            b.iter(|| {
                runtime.block_on(at_once(|n| {
                    let (engine, flow) = (engine.clone(), flow.clone());
                    async move { drop(engine.start(&flow, n).queue("q").await.unwrap()) }
                }));
            });
        });
        let (batching, number) = (Batching::new("q", 100, Duration::from_secs(3_600)), Arc::new(AtomicU64::new(0)));
        group.bench_function(BenchmarkId::new("of an item", store), |b| {
            b.iter(|| {
                runtime.block_on(at_once(|_| {
                    let (engine, list, batching, number) =
                        (engine.clone(), list.clone(), batching.clone(), number.clone());
                    async move {
                        let item = number.fetch_add(1, Ordering::Relaxed);
                        drop(engine.start_batched(&list, item, &batching).await.unwrap());
                    }
                }));
            });
        });
        runtime.block_on(engine.shutdown()).unwrap();
    }
}

criterion_group!(benches, places);
criterion_main!(benches);
