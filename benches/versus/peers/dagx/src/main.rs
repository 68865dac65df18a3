//! Cases of versus on dagx, as its documentation recommends: `#[task]`, references to what is needed, and tokio's spawn.

use std::process::ExitCode;
use std::time::Instant;

use dagx::{DagRunner, Task, task};
use versus_measure::{Ask, Fallible, Figure, PASSES, Shape, median};

const NODES: usize = 10_000;

fn main() -> ExitCode {
    versus_measure::main(|ask| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(measure(ask))
    })
}

async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    let shape = Shape::of(ask)?;
    let mut took = Vec::with_capacity(PASSES);
    for pass in 0..=PASSES {
        // A graph runs once, so it is built anew; that is not counted.
        let dag = build(shape);
        let began = Instant::now();
        dag.run(|future| drop(tokio::spawn(future))).await.map_err(|error| format!("{error:?}"))?;
        if pass > 0 {
            took.push(began.elapsed().as_secs_f64() * 1e6 / NODES as f64);
        }
    }
    Ok(vec![Figure::new(&ask.case, median(took), "µs/node")])
}

struct First;
#[task]
impl First {
    async fn run() -> () {
        tokio::task::yield_now().await;
    }
}

struct AfterOne;
#[task]
impl AfterOne {
    async fn run(_a: &()) -> () {
        tokio::task::yield_now().await;
    }
}

struct AfterThree;
#[task]
impl AfterThree {
    async fn run(_a: &(), _b: &(), _c: &()) -> () {
        tokio::task::yield_now().await;
    }
}

fn build(shape: Shape) -> DagRunner {
    let dag = DagRunner::new();
    let mut nodes = Vec::with_capacity(NODES);
    for node in 0..NODES {
        let handle = match shape.needs(node)[..] {
            [one] => dag.add_task(AfterOne).depends_on(nodes[one]),
            [a, b, c] => dag.add_task(AfterThree).depends_on((&nodes[a], &nodes[b], &nodes[c])),
            _ => dag.add_task(First).into(),
        };
        nodes.push(handle);
    }
    dag
}
