//! `seq` and `slope`: one run, one step after the other.

use fastn::prelude::*;
use versus_measure::{Ask, Fallible, Figure, Marks, VALUE};

use super::engine;

pub async fn seq(ask: &Ask) -> Fallible<Vec<Figure>> {
    Ok(marks(ask, 1_000).await?.seq())
}

pub async fn slope(ask: &Ask) -> Fallible<Vec<Figure>> {
    Ok(marks(ask, ask.pick(100_000, 4_000)).await?.slope())
}

/// When each of so many steps began.
async fn marks(ask: &Ask, steps: usize) -> Fallible<Marks> {
    let marks = Marks::new(steps);
    let step = {
        let marks = marks.clone();
        move |value: String| {
            marks.note();
            async move { Ok::<_, StepError>(value) }
        }
    };
    let chain = workflow("marked").define(|flow, value: Out<'_, String>| {
        (0..steps).fold(value, |value, number| flow.step(&format!("step {number}"), step.clone(), value))
    })?;
    let engine = engine(ask)?.serve(&chain).open().await?;
    engine.start(&chain, VALUE.to_owned()).await?.output().await?;
    engine.shutdown().await?;
    Ok(marks)
}
