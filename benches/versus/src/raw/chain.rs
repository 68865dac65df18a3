//! `chain10` and `jobs`: tasks that hand their results to the writer, one after the other.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use versus_measure::{Ask, Fallible, Figure, rate};

use super::writer::{Handle, Writer};

pub async fn chain10(ask: &Ask) -> Fallible<Vec<Figure>> {
    let runs = ask.number()?;
    let took = all_at_once(ask, runs, 10).await?;
    Ok(vec![Figure::new(&ask.case, rate(runs * 10, took), "steps/s")])
}

/// A job is two rows: that it is to be done, and that it was.
pub async fn jobs(ask: &Ask) -> Fallible<Vec<Figure>> {
    let jobs = ask.pick(100_000, 10_000);
    let took = all_at_once(ask, jobs, 2).await?;
    Ok(vec![Figure::new(&ask.case, rate(jobs, took), "jobs/s")])
}

async fn all_at_once(ask: &Ask, runs: usize, rows: usize) -> Fallible<Duration> {
    let writer = Writer::open(ask)?;
    one(&writer.handle(), runs, rows).await?;
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for run in 0..runs {
        let handle = writer.handle();
        tasks.spawn(async move { one(&handle, run, rows).await });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let took = began.elapsed();
    writer.close()?;
    Ok(took)
}

async fn one(handle: &Handle, run: usize, rows: usize) -> Fallible<()> {
    for row in 0..rows {
        handle.record(run, row).await?;
    }
    Ok(())
}
