//! `timers`: a row, a task that sleeps, and a row.

use std::sync::Arc;

use tokio::task::JoinSet;
use versus_measure::{Ask, Fallible, Figure};

use super::writer::Writer;
use crate::lateness::{Lateness, Plan};

pub async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    let plan = Plan::of(ask);
    let lateness = Arc::new(Lateness::new(&plan));
    let writer = Writer::open(ask)?;
    let mut tasks: JoinSet<Fallible<()>> = JoinSet::new();
    for at in plan.starts() {
        tokio::time::sleep_until(at.into()).await;
        for _ in 0..plan.at_once {
            let (handle, lateness, sleep) = (writer.handle(), lateness.clone(), plan.sleep);
            tasks.spawn(async move {
                let due = lateness.due();
                let sleep = tokio::time::sleep(sleep);
                handle.record(0, 0).await?;
                sleep.await;
                lateness.fired(due);
                handle.record(0, 1).await
            });
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    writer.close()?;
    Ok(lateness.figures())
}
