//! `dag`: what a node costs where nothing is recorded.

use std::time::Instant;

use fastn::prelude::*;
use versus_measure::{Ask, Fallible, Figure, PASSES, Shape, median};

pub async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    let nodes = 10_000;
    let shape = Shape::of(ask)?;
    let mut graph = Graph::new("dag");
    for node in 0..nodes {
        let work = |_: StepCx, _: Vec<Payload>| async {
            tokio::task::yield_now().await;
            Ok(Payload::null())
        };
        graph.step(node.to_string(), work).needs(shape.needs(node).iter().map(usize::to_string));
    }
    graph.no_output();
    let dag = graph.check()?;
    // Without a store: ephemeral.
    let engine = Engine::builder().serve(&dag).open().await?;
    let mut took = Vec::with_capacity(PASSES);
    for pass in 0..=PASSES {
        let began = Instant::now();
        engine.start(&dag, Default::default()).await?.output().await?;
        if pass > 0 {
            took.push(began.elapsed().as_secs_f64() * 1e6 / nodes as f64);
        }
    }
    engine.shutdown().await?;
    Ok(vec![Figure::new(&ask.case, median(took), "µs/node")])
}
