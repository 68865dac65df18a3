//! `recover`: runs half way when their process was killed.

use std::future::pending;
use std::sync::Arc;
use std::time::Instant;

use fastn::prelude::*;
use fastn::store::RunQuery;
use versus_measure::{Ask, Fallible, Figure, rate};

use super::{engine, start_all};
use crate::killed;
use crate::progress::Progress;

/// So many steps has a run, and after so many it was killed.
const STEPS: usize = 10;
const HALF: usize = 5;

pub async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    let runs = ask.pick(100_000, 5_000);
    let progress = Arc::new(Progress::new(runs));
    if killed::is_preparing(ask) {
        let flow = flow(&progress, true)?;
        let engine = engine(ask)?.serve(&flow).open().await?;
        start_all(&engine, &Arc::new(flow), runs).await?;
        progress.arrived().await;
        return killed::wait_for_it();
    }
    killed::after_preparing(ask)?;

    let flow = flow(&progress, false)?;
    let began = Instant::now();
    let engine = engine(ask)?.serve(&flow).open().await?;
    progress.arrived().await;
    // The last results are recorded before this comes back.
    engine.shutdown().await?;
    let took = began.elapsed();
    let (first, made) = progress.made();
    let to_make = runs * (STEPS - HALF);
    if made != to_make {
        return Err(format!("{made} steps were made, and {to_make} were left").into());
    }
    // Not counted: whether they have really ended.
    let engine = self::engine(ask)?.serve(&flow).open().await?;
    let status = vec![RunStatus::Pending, RunStatus::Running, RunStatus::Waiting];
    let open = engine.runs().list(RunQuery { status, limit: 1, ..RunQuery::default() }).await?.runs.len();
    engine.shutdown().await?;
    if open > 0 {
        return Err("a run has not ended".into());
    }
    let first = first.ok_or("no step was made")?.duration_since(began).as_secs_f64() * 1e3;
    Ok(vec![Figure::new("recover-first", first, "ms"), Figure::new("recover", rate(made, took), "steps/s")])
}

/// The workflow. Its runs stop half way for ever, or go through.
fn flow(progress: &Arc<Progress>, stop: bool) -> Result<Workflow<String, String>, PlanFaults> {
    let goal = if stop { HALF } else { STEPS - 1 };
    workflow("half").define(|flow, value: Out<'_, String>| {
        (0..STEPS).fold(value, |value, number| {
            let progress = progress.clone();
            let step = move |value: String| {
                progress.step();
                if number == goal {
                    progress.arrive();
                }
                async move {
                    if stop && number == goal {
                        pending::<()>().await;
                    }
                    Ok::<_, StepError>(value)
                }
            };
            flow.step(&format!("step {number}"), step, value)
        })
    })
}
