//! `parked`: what a run costs that sleeps or waits, and whether a due one wakes in time meanwhile.

use std::sync::Arc;
use std::time::Duration;

use fastn::prelude::*;
use versus_measure::{Ask, Fallible, Figure, Marks, Size, VALUE, percentile, resident};

use super::{engine, start_all};

/// How many runs sleep before counting begins, so that what the engine needs once is not counted.
const WARM: usize = 10_000;
/// What half of the runs wait for.
const ANSWER: Signal<String> = Signal::new("answer");
/// How long the one sleeps that wakes while the others go on.
const NAP: Duration = Duration::from_millis(200);

pub async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    let runs = if ask.size == Size::Quick { 20_000 } else { ask.number()? };
    let asleep = workflow("asleep").define(|flow, value: Out<'_, String>| flow.sleep("sleep", hours(1), value))?;
    let waiting = workflow("waiting").define(|flow, value: Out<'_, String>| flow.wait("answer", ANSWER, value))?;
    let (asleep, waiting) = (Arc::new(asleep), Arc::new(waiting));
    let marks = Marks::new(2);
    let napper = napper(&marks)?;
    // A nap is short enough to be spent in memory; here it must not be.
    let engine = engine(ask)?.serve(&asleep).serve(&waiting).serve(&napper).park_after(NAP / 2).open().await?;

    start_all(&engine, &asleep, WARM / 2).await?;
    start_all(&engine, &waiting, WARM / 2).await?;
    settle().await;
    let before = resident()?;
    start_all(&engine, &asleep, runs / 2).await?;
    start_all(&engine, &waiting, runs - runs / 2).await?;
    settle().await;
    let each = (resident()? - before) / runs as f64;

    for _ in 0..20 {
        engine.start(&napper, VALUE.to_owned()).await?.output().await?;
    }
    // Every other distance is from before a nap to after it.
    let naps = marks.micros().into_iter().step_by(2).map(|took| took / 1e3 - NAP.as_secs_f64() * 1e3);
    let late = percentile(naps.collect(), 1.0);
    engine.shutdown().await?;
    Ok(vec![Figure::new("parked", each, "B/run"), Figure::new("parked-wake-max", late, "ms")])
}

/// Runs that were started have come to where they sleep.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// A step, a nap, a step.
fn napper(marks: &Marks) -> Result<Workflow<String, String>, PlanFaults> {
    let noted = marks.clone();
    let note = move |value: String| {
        noted.note();
        async move { Ok::<_, StepError>(value) }
    };
    workflow("napper").define(|flow, value| {
        let tired = flow.step("before", note.clone(), value);
        let rested = flow.sleep("nap", NAP, tired);
        flow.step("after", note, rested)
    })
}
