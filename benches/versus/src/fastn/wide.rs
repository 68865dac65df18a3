//! `wide`: one run over a long list, 64 items at a time.

use std::time::Instant;

use fastn::prelude::*;
use versus_measure::{Ask, Fallible, Figure, VALUE, peak_since_reset, rate, reset_peak, resident};

use super::{engine, pass};

pub async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    let items = ask.pick(100_000, 5_000);
    let wide = workflow("wide").define(|flow, items: Out<'_, Vec<String>>| {
        flow.each("items", items.at_most(64), |flow, item| flow.step("step", pass, item))
    })?;
    // The list itself is more than the 4 MiB that a payload may have by default.
    let engine = engine(ask)?.max_payload(64 << 20).serve(&wide).open().await?;
    let list = vec![VALUE.to_owned(); items];

    let before = resident()?;
    reset_peak()?;
    let began = Instant::now();
    let output = engine.start(&wide, list).await?.output().await?;
    let took = began.elapsed();
    let peak = peak_since_reset()?;
    if output.len() != items {
        return Err("items were lost on their way".into());
    }
    engine.shutdown().await?;
    let each = (peak - before) / items as f64;
    Ok(vec![Figure::new("wide", rate(items, took), "steps/s"), Figure::new("wide-memory", each, "B/item")])
}
