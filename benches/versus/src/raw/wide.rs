//! `wide`: 64 tasks that take the next item until there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use tokio::task::JoinSet;
use versus_measure::{Ask, Fallible, Figure, rate};

use super::writer::Writer;

pub async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    let items = ask.pick(100_000, 5_000);
    let writer = Writer::open(ask)?;
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut tasks: JoinSet<Fallible<()>> = JoinSet::new();
    for _ in 0..64 {
        let (handle, next) = (writer.handle(), next.clone());
        tasks.spawn(async move {
            loop {
                match next.fetch_add(1, Relaxed) {
                    item if item < items => handle.record(1, item).await?,
                    _ => return Ok(()),
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let took = began.elapsed();
    writer.close()?;
    Ok(vec![Figure::new("wide", rate(items, took), "steps/s")])
}
