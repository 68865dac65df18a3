//! `timers`: many timers that come due one after the other.

use std::sync::Arc;
use std::time::Duration;

use fastn::prelude::*;
use tokio::task::JoinSet;
use versus_measure::{Ask, Fallible, Figure, VALUE};

use super::engine;
use crate::lateness::{Lateness, Plan};

pub async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    let plan = Plan::of(ask);
    let lateness = Arc::new(Lateness::new(&plan));
    let flow = Arc::new(sleeper(&plan, &lateness)?);
    let engine = engine(ask)?.serve(&flow).open().await?;
    let mut tasks = JoinSet::new();
    for at in plan.starts() {
        tokio::time::sleep_until(at.into()).await;
        for _ in 0..plan.at_once {
            let (engine, flow) = (engine.clone(), flow.clone());
            tasks.spawn(async move { engine.start(&flow, VALUE.to_owned()).await.map(drop) });
        }
    }
    while let Some(started) = tasks.join_next().await {
        started??;
    }
    lateness.all().await;
    engine.shutdown().await?;
    Ok(lateness.figures())
}

/// A step that notes when the timer is due, the timer, and a step that notes when it went off.
fn sleeper(plan: &Plan, lateness: &Arc<Lateness>) -> Result<Workflow<String, u64>, PlanFaults> {
    let sleep: Duration = plan.sleep;
    let (before, after) = (lateness.clone(), lateness.clone());
    let before = move |_: String| {
        let due = before.due();
        async move { Ok::<_, StepError>(due) }
    };
    let after = move |due: u64| {
        after.fired(due);
        async move { Ok::<_, StepError>(due) }
    };
    workflow("sleeper").define(|flow, value| {
        let due = flow.step("before", before, value);
        let due = flow.sleep("sleep", sleep, due);
        flow.step("after", after, due)
    })
}
