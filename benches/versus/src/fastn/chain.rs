//! `chain10` and `jobs`: many short runs at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastn::prelude::*;
use tokio::task::JoinSet;
use versus_measure::{Ask, Fallible, Figure, VALUE, rate};

use super::{chain, engine};

pub async fn chain10(ask: &Ask) -> Fallible<Vec<Figure>> {
    let runs = ask.number()?;
    let took = all_at_once(ask, runs, 10).await?;
    Ok(vec![Figure::new(&ask.case, rate(runs * 10, took), "steps/s")])
}

pub async fn jobs(ask: &Ask) -> Fallible<Vec<Figure>> {
    let jobs = ask.pick(100_000, 10_000);
    let took = all_at_once(ask, jobs, 1).await?;
    Ok(vec![Figure::new(&ask.case, rate(jobs, took), "jobs/s")])
}

/// From the start of the first run to the output of the last.
async fn all_at_once(ask: &Ask, runs: usize, steps: usize) -> Fallible<Duration> {
    let chain = Arc::new(chain(steps)?);
    let engine = engine(ask)?.serve(&chain).open().await?;
    one(&engine, &chain).await?;

    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..runs {
        let (engine, chain) = (engine.clone(), chain.clone());
        tasks.spawn(async move { one(&engine, &chain).await });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let took = began.elapsed();
    engine.shutdown().await?;
    Ok(took)
}

async fn one(engine: &Engine, chain: &Workflow<String, String>) -> Fallible<()> {
    let output = engine.start(chain, VALUE.to_owned()).await?.output().await?;
    if output == VALUE { Ok(()) } else { Err("a value was lost on its way".into()) }
}
