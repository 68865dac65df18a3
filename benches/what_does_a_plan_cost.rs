//! What a node costs before anything runs: built, checked and hashed, drawn, and read back.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may fail")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastn::core::{Draft, StepCx};
use fastn::prelude::*;
use fastn_testkit::sketch::draft;
use serde_json::Value;

async fn pass(n: u64) -> Result<u64, StepError> {
    Ok(n)
}

async fn nothing(_: StepCx, _: Vec<Payload>) -> Result<Payload, StepError> {
    Ok(Payload::null())
}

fn typed(nodes: usize) -> Workflow<u64, u64> {
    workflow("chain").define(|flow, n| (0..nodes).fold(n, |n, i| flow.step(&format!("n{i}"), pass, n))).unwrap()
}

/// Each needs the one before and the one ten before.
fn graph(nodes: usize) -> Workflow<Value, Value> {
    let mut graph = Graph::new("graph");
    for i in 0..nodes {
        let before = [i.checked_sub(1), i.checked_sub(10)];
        graph.step(format!("n{i}"), nothing).needs(before.into_iter().flatten().map(|i| format!("n{i}")));
    }
    graph.no_output();
    graph.check().unwrap()
}

fn sketched(nodes: usize) -> Draft {
    let line = |i: usize| match (i.checked_sub(1), i.checked_sub(10)) {
        (Some(one), Some(ten)) => format!("n{i}(n{one}, n{ten}) retry 3\n"),
        (Some(one), None) => format!("n{i}(n{one}) undo\n"),
        _ => format!("n{i}(input)\n"),
    };
    draft(&format!("{}-> n{}", (0..nodes).map(line).collect::<String>(), nodes - 1))
}

fn plans(c: &mut Criterion) {
    let mut group = c.benchmark_group("what does a plan cost");
    group.sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(600));
    for nodes in [10, 1_000, 10_000] {
        group.throughput(Throughput::Elements(nodes as u64));
        let id = |what| BenchmarkId::new(what, nodes);
        group.bench_function(id("built with types, checked"), |b| b.iter(|| typed(nodes)));
        group.bench_function(id("built from names, checked"), |b| b.iter(|| graph(nodes)));
        let draft = sketched(nodes);
        group.bench_function(id("checked and hashed"), |b| {
            b.iter_batched(|| draft.clone(), |draft| draft.check().unwrap(), BatchSize::LargeInput);
        });
        let plan = draft.clone().check().unwrap();
        group.bench_function(id("drawn as a tree"), |b| b.iter(|| black_box(&plan).to_string()));
        group.bench_function(id("drawn for an editor"), |b| b.iter(|| black_box(&plan).to_editor_json().unwrap()));
        let drawn = plan.to_editor_json().unwrap();
        group.bench_function(id("read from an editor"), |b| b.iter(|| Draft::from_editor_json(&drawn).unwrap()));
    }
    group.finish();
}

criterion_group!(benches, plans);
criterion_main!(benches);
