//! `recover`: reads the table to know how far each run came, and goes on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;
use versus_measure::{Ask, Fallible, Figure, rate};

use super::sqlite;
use super::writer::{Handle, Writer};
use crate::killed;
use crate::progress::Progress;

const STEPS: usize = 10;
const HALF: usize = 5;

pub async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    let runs = ask.pick(100_000, 5_000);
    let progress = Arc::new(Progress::new(runs));
    if killed::is_preparing(ask) {
        let writer = Writer::open(ask)?;
        go_on(&writer.handle(), (0..runs).map(|run| (run, 0)), HALF, &progress).await?;
        return killed::wait_for_it();
    }
    killed::after_preparing(ask)?;

    let began = Instant::now();
    let came_to = read(ask)?.into_iter().map(|(run, next)| (run as usize, next as usize));
    let writer = Writer::open(ask)?;
    go_on(&writer.handle(), came_to, STEPS, &progress).await?;
    writer.close()?;
    let took = began.elapsed();
    let (first, made) = progress.made();
    if made != runs * (STEPS - HALF) {
        return Err(format!("{made} steps were made").into());
    }
    let first = first.ok_or("no step was made")?.duration_since(began).as_secs_f64() * 1e3;
    Ok(vec![Figure::new("recover-first", first, "ms"), Figure::new("recover", rate(made, took), "steps/s")])
}

/// The next step of each run.
fn read(ask: &Ask) -> Fallible<HashMap<i64, i64>> {
    let conn = sqlite::open(ask)?;
    let mut select = conn.prepare("SELECT run, step FROM results ORDER BY id")?;
    let mut rows = select.query(())?;
    let mut came_to = HashMap::new();
    while let Some(row) = rows.next()? {
        came_to.insert(row.get(0)?, row.get::<_, i64>(1)? + 1);
    }
    Ok(came_to)
}

/// Makes the steps of each run from the one given, up to this one.
async fn go_on(
    handle: &Handle,
    runs: impl Iterator<Item = (usize, usize)>,
    end: usize,
    progress: &Arc<Progress>,
) -> Fallible<()> {
    let mut tasks: JoinSet<Fallible<()>> = JoinSet::new();
    for (run, next) in runs {
        let (handle, progress) = (handle.clone(), progress.clone());
        tasks.spawn(async move {
            for step in next..end {
                progress.step();
                handle.record(run, step).await?;
            }
            Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
