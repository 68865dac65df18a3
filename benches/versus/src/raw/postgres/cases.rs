//! `chain10` and `jobs`: tasks that hand their results to a writer, one after the other. `seq`: a statement for each step.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use versus_measure::{Ask, Fallible, Figure, Marks, VALUE, rate};

use super::connection;
use super::lane::{Handle, Lane};

pub async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    match ask.kind() {
        "chain10" => {
            let runs = ask.number()?;
            let took = all_at_once(ask, runs, 10).await?;
            Ok(vec![Figure::new(&ask.case, rate(runs * 10, took), "steps/s")])
        }
        // A job is two rows: that it is to be done, and that it was.
        "jobs" => {
            let jobs = ask.pick(100_000, 10_000);
            let took = all_at_once(ask, jobs, 2).await?;
            Ok(vec![Figure::new(&ask.case, rate(jobs, took), "jobs/s")])
        }
        "seq" => seq(ask).await,
        _ => ask.unknown(),
    }
}

async fn all_at_once(ask: &Ask, runs: usize, rows: usize) -> Fallible<Duration> {
    let mut lanes = Vec::new();
    for _ in 0..if ask.system == "raw-2" { 2 } else { 1 } {
        lanes.push(Lane::open(ask).await?);
        one(lanes[lanes.len() - 1].handle(), runs, rows).await?;
    }
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for run in 0..runs {
        tasks.spawn(one(lanes[run % lanes.len()].handle(), run, rows));
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let took = began.elapsed();
    for lane in lanes {
        lane.close().await?;
    }
    let client = connection::open(ask).await?;
    let counted = client.query_one("SELECT count(*) FROM results WHERE run < $1", &[&(runs as i64)]).await?;
    let count: i64 = counted.try_get(0)?;
    if count as usize == runs * rows { Ok(took) } else { Err(format!("there are {count} rows").into()) }
}

async fn one(handle: Handle, run: usize, rows: usize) -> Fallible<()> {
    for row in 0..rows {
        handle.record(run, row).await?;
    }
    Ok(())
}

async fn seq(ask: &Ask) -> Fallible<Vec<Figure>> {
    let client = connection::open(ask).await?;
    let insert = client.prepare("INSERT INTO results (run, step, value) VALUES ($1, $2, $3)").await?;
    let marks = Marks::new(1_000);
    for step in 0..1_000_i64 {
        marks.note();
        client.execute(&insert, &[&1_i64, &step, &VALUE.as_bytes()]).await?;
    }
    Ok(marks.seq())
}
