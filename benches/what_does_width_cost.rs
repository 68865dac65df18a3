//! What a node costs that may run beside others: independent ones, layers, and the items of a list, from start to output.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may fail")]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastn::core::StepCx;
use fastn::prelude::*;
use serde_json::Value;
use tokio::runtime::Runtime;

const WIDE: usize = 100;

async fn nothing(_: StepCx, _: Vec<Payload>) -> Result<Payload, StepError> {
    tokio::task::yield_now().await;
    Ok(Payload::null())
}

async fn pass(n: u64) -> Result<u64, StepError> {
    Ok(n)
}

/// Nodes that need nobody, or, in layers of a hundred, three of the layer before.
fn graph(nodes: usize, layered: bool) -> Workflow<Value, Value> {
    let mut graph = Graph::new("wide");
    for node in 0..nodes {
        let added = graph.step(format!("n{node}"), nothing);
        if layered && node >= WIDE {
            let (layer, place) = (node / WIDE, node % WIDE);
            added.after([0, 1, 2].map(|more| format!("n{}", (layer - 1) * WIDE + (place + more) % WIDE)));
        }
    }
    graph.no_output();
    graph.check().unwrap()
}

fn width(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = c.benchmark_group("what does width cost");
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    for (shape, layered) in [("independent", false), ("layered", true)] {
        for nodes in [1_000, 10_000] {
            let flow = graph(nodes, layered);
            for store in ["ephemeral", "memory"] {
                let engine = runtime.block_on(open(store, |builder| builder.serve(&flow)));
                group.throughput(Throughput::Elements(nodes as u64));
                group.bench_function(BenchmarkId::new(format!("{shape}, {store}"), nodes), |b| {
                    b.iter(|| {
                        runtime.block_on(async { engine.start(&flow, Value::Null).await?.output().await }).unwrap()
                    });
                });
                runtime.block_on(engine.shutdown()).unwrap();
            }
        }
    }
    let flow = workflow("items")
        .define(|flow, items: Out<'_, Vec<u64>>| {
            flow.each("items", items.at_most(64), |flow, item| flow.step("step", pass, item))
        })
        .unwrap();
    for items in [1_000_u64, 10_000] {
        for store in ["ephemeral", "memory"] {
            let engine = runtime.block_on(open(store, |builder| builder.serve(&flow)));
            group.throughput(Throughput::Elements(items));
            group.bench_function(BenchmarkId::new(format!("items, 64 at a time, {store}"), items), |b| {
                let list: Vec<u64> = (0..items).collect();
                b.iter(|| runtime.block_on(async { engine.start(&flow, list.clone()).await?.output().await }).unwrap());
            });
            runtime.block_on(engine.shutdown()).unwrap();
        }
    }
    group.finish();
}

async fn open(
    store: &str,
    serve: impl FnOnce(fastn::runtime::EngineBuilder) -> fastn::runtime::EngineBuilder,
) -> Engine {
    let builder = match store {
        "ephemeral" => Engine::builder(),
        _ => Engine::builder().store("memory:"),
    };
    serve(builder).open().await.unwrap()
}

criterion_group!(benches, width);
criterion_main!(benches);
