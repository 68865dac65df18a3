//! What a run costs from its start to its output: alone, and among a hundred.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may fail")]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastn::prelude::*;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const TOGETHER: u64 = 100;

async fn pass(n: u64) -> Result<u64, StepError> {
    Ok(n)
}

fn chain(steps: u64) -> Workflow<u64, u64> {
    workflow("chain").define(|flow, n| (0..steps).fold(n, |n, i| flow.step(&format!("n{i}"), pass, n))).unwrap()
}

async fn together(engine: &Engine, flow: &std::sync::Arc<Workflow<u64, u64>>) {
    let mut runs = JoinSet::new();
    for n in 0..TOGETHER {
        let (engine, flow) = (engine.clone(), flow.clone());
        runs.spawn(async move { engine.start(&flow, n).await?.output().await });
    }
    while let Some(ended) = runs.join_next().await {
        ended.unwrap().unwrap();
    }
}

fn runs(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = c.benchmark_group("what does a run cost");
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    for steps in [1, 10] {
        let flow = std::sync::Arc::new(chain(steps));
        for kind in ["ephemeral", "memory", "sqlite normal", "sqlite full"] {
            // Where programs are built there is a real disk.
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let path = folder.path().join("runs.db").display().to_string();
            let builder = match kind {
                "ephemeral" => Engine::builder(),
                "memory" => Engine::builder().store("memory:"),
                "sqlite normal" => Engine::builder().store(format!("sqlite:{path}?synchronous=normal")),
                _ => Engine::builder().store(format!("sqlite:{path}")),
            };
            let engine = runtime.block_on(builder.serve(&flow).open()).unwrap();
            group.throughput(Throughput::Elements(steps));
            group.bench_function(BenchmarkId::new(format!("alone, {kind}, steps"), steps), |b| {
                b.iter(|| runtime.block_on(async { engine.start(&flow, 7).await?.output().await }).unwrap());
            });
            group.throughput(Throughput::Elements(steps * TOGETHER));
            group.bench_function(BenchmarkId::new(format!("of a hundred, {kind}, steps"), steps), |b| {
                b.iter(|| runtime.block_on(together(&engine, &flow)));
            });
            runtime.block_on(engine.shutdown()).unwrap();
        }
    }
    group.finish();
}

criterion_group!(benches, runs);
criterion_main!(benches);
