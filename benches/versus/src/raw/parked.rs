//! `parked`: a row, and a task that sleeps.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use versus_measure::{Ask, Fallible, Figure, Size, percentile, resident};

use super::writer::Writer;

const WARM: usize = 10_000;
const NAP: Duration = Duration::from_millis(200);

pub async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    let runs = if ask.size == Size::Quick { 20_000 } else { ask.number()? };
    let writer = Writer::open(ask)?;
    let mut tasks: JoinSet<Fallible<()>> = JoinSet::new();
    park(&writer, &mut tasks, 0..WARM).await?;
    let before = resident()?;
    park(&writer, &mut tasks, WARM..WARM + runs).await?;
    let each = (resident()? - before) / runs as f64;

    let mut late = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        tokio::time::sleep(NAP).await;
        late.push((began.elapsed() - NAP).as_secs_f64() * 1e3);
    }
    tasks.shutdown().await;
    writer.close()?;
    Ok(vec![Figure::new("parked", each, "B/run"), Figure::new("parked-wake-max", percentile(late, 1.0), "ms")])
}

/// A thousand at a time, each with its row first.
async fn park(writer: &Writer, tasks: &mut JoinSet<Fallible<()>>, runs: std::ops::Range<usize>) -> Fallible<()> {
    let end = runs.end;
    for from in runs.step_by(1_000) {
        let mut recorded: JoinSet<Fallible<()>> = JoinSet::new();
        for run in from..end.min(from + 1_000) {
            let handle = writer.handle();
            recorded.spawn(async move { handle.record(run, 0).await });
        }
        while let Some(ended) = recorded.join_next().await {
            ended??;
        }
        for _ in from..end.min(from + 1_000) {
            tasks.spawn(async {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                Ok(())
            });
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(())
}
