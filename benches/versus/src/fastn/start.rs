//! `start`: open a store, start a run of one step, await it, shut down.

use std::time::Instant;

use versus_measure::{Ask, Fallible, Figure, VALUE, median};

use super::{chain, engine};

pub async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    let (mut new, mut again) = (Vec::new(), Vec::new());
    for time in 0..ask.pick(40, 10) {
        let ask = Ask { folder: ask.folder.join(time.to_string()), ..ask.clone() };
        std::fs::create_dir(&ask.folder)?;
        new.push(once(&ask).await?);
        again.push(once(&ask).await?);
    }
    Ok(vec![Figure::new("start-new", median(new), "ms"), Figure::new("start-again", median(again), "ms")])
}

/// The whole of it, in milliseconds. The workflow is written every time, as a short program would.
async fn once(ask: &Ask) -> Fallible<f64> {
    let began = Instant::now();
    let chain = chain(1)?;
    let engine = engine(ask)?.serve(&chain).open().await?;
    engine.start(&chain, VALUE.to_owned()).await?.output().await?;
    engine.shutdown().await?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}
