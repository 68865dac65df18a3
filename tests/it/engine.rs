//! What every kind of engine does: ephemeral, in memory, on a file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fastn::prelude::*;

use crate::world::{Res, builder, memory};

async fn double(n: u64) -> Res<u64> {
    Ok(n * 2)
}

async fn add(a: u64, b: u64) -> Res<u64> {
    Ok(a + b)
}

fn diamond() -> Workflow<u64, u64> {
    workflow("diamond")
        .define(|flow, n| {
            let left = flow.step("left", double, n);
            let right = flow.step("right", double, n);
            flow.step("sum", add, (left, right))
        })
        .unwrap()
}

/// Runs a test on an engine of each kind.
async fn on_every_engine<F: Future<Output = ()>>(workflow: &Workflow<u64, u64>, test: impl Fn(Engine) -> F) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("runs.db").display());
    for builder in [builder(), builder().store(memory()), builder().store(url)] {
        let engine = builder.serve(workflow).open().await.unwrap();
        test(engine.clone()).await;
        engine.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn values_come_out_at_the_end() {
    let flow = diamond();
    on_every_engine(&flow, |engine| {
        let flow = flow.clone();
        async move {
            let run = engine.start(&flow, 5).await.unwrap();
            assert_eq!(run.output().await.unwrap(), 20);
            assert_eq!(run.status().await.unwrap(), RunStatus::Succeeded);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_runs_at_once() {
    let flow = diamond();
    on_every_engine(&flow, |engine| {
        let flow = flow.clone();
        async move {
            let mut runs = Vec::new();
            for n in 0..1_000 {
                runs.push(engine.start(&flow, n).await.unwrap());
            }
            for (n, run) in runs.into_iter().enumerate() {
                assert_eq!(run.output().await.unwrap(), n as u64 * 4);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_failed_step_is_tried_again() {
    let tries = Arc::new(AtomicU32::new(0));
    let seen = tries.clone();
    let flaky = move |n: u64| {
        let seen = seen.clone();
        async move {
            match seen.fetch_add(1, Ordering::SeqCst) {
                0 | 1 => Err(StepError::new("not yet")),
                _ => Ok(n + 1),
            }
        }
    };
    let flow: Workflow<u64, u64> = workflow("flaky")
        .define(|flow, n| flow.step("flaky", flaky.retry(Retry::fixed(millis(1)).attempts(3)), n))
        .unwrap();
    on_every_engine(&flow, |engine| {
        let (flow, tries) = (flow.clone(), tries.clone());
        async move {
            tries.store(0, Ordering::SeqCst);
            assert_eq!(engine.start(&flow, 1).await.unwrap().output().await.unwrap(), 2);
            assert_eq!(tries.load(Ordering::SeqCst), 3);
        }
    })
    .await;
}
