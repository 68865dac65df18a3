//! What an event costs the machine, without engine and store: in chains, fans and lists, and in plans of any size.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a bench may fail")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastn::core::{Draft, Payload, Plan, Timestamp};
use fastn::runtime::machine::{Action, Machine, Task, Turn};
use fastn_testkit::sketch::{draft, each};

type Begun = (Machine, Vec<Task>);

fn tasks(turn: Turn) -> Vec<Task> {
    let run = |action| if let Action::Run(task) = action { Some(task) } else { None };
    turn.actions.into_iter().filter_map(run).collect()
}

fn begin(plan: &Arc<Plan>, input: &Payload) -> Begun {
    let (machine, turn) = Machine::start(plan.clone(), input.clone(), Timestamp::EPOCH).unwrap();
    (machine, tasks(turn))
}

/// Answers one attempt after the other, whatever is next, so many times.
fn advance((mut machine, mut open): Begun, events: usize) -> Begun {
    for _ in 0..events {
        let Some(task) = open.pop() else { panic!("there is always a next step") };
        let event = machine.judge(&task, Ok(Payload::null()), Timestamp::EPOCH, 0);
        let mut turn = Turn::new(Timestamp::EPOCH);
        machine.advance(event, &mut turn).unwrap();
        black_box(&turn.records);
        open.extend(tasks(turn));
    }
    (machine, open)
}

fn checked(draft: Draft) -> Arc<Plan> {
    Arc::new(draft.check().unwrap())
}

fn chain(nodes: usize) -> Arc<Plan> {
    let rest: String = (1..nodes).map(|i| format!("n{i}(n{})\n", i - 1)).collect();
    checked(draft(&format!("n0(input)\n{rest}-> n{}", nodes - 1)))
}

/// One node, many that take its output, and one that takes theirs.
fn fan(width: usize) -> Arc<Plan> {
    let middle: String = (0..width).map(|i| format!("m{i}(first)\n")).collect();
    let names: Vec<String> = (0..width).map(|i| format!("m{i}")).collect();
    checked(draft(&format!("first(input)\n{middle}last({})\n-> last", names.join(", "))))
}

fn turns(c: &mut Criterion) {
    let null = Payload::null();
    let mut group = c.benchmark_group("what does a turn cost");
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800));
    // Whole runs, so that what is done before an event is never more than what is measured.
    let mut bench = |name: &str, size: usize, plan: Arc<Plan>, input: &Payload, events: usize| {
        group.throughput(Throughput::Elements(events as u64));
        group.bench_function(BenchmarkId::new(name, size), |b| {
            b.iter_batched(|| begin(&plan, input), |begun| advance(begun, events), BatchSize::PerIteration);
        });
    };
    for nodes in [100, 1_000, 10_000, 100_000] {
        bench("in a chain of", nodes, chain(nodes), &null, nodes);
    }
    for width in [100, 10_000] {
        bench("in a fan out and in again of", width, fan(width), &null, width + 2);
    }
    for items in [100, 10_000] {
        let mut plan = draft("-> items");
        plan.root.nodes.push(each("items", "input", 64, "step(input)\n-> step"));
        let list = Payload::encode(&vec![7; items]).unwrap();
        bench("of a list's items, 64 at a time, of", items, checked(plan), &list, items);
    }
    group.finish();
}

criterion_group!(benches, turns);
criterion_main!(benches);
