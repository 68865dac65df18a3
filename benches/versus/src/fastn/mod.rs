//! The cases on fastn, as a host would write them. Its settings are the defaults except where a case says otherwise.

mod chain;
mod dag;
mod fleet;
mod parked;
mod recover;
mod seq;
mod start;
mod timers;
mod wide;

use std::sync::Arc;

use fastn::prelude::*;
use fastn::runtime::EngineBuilder;
use tokio::task::JoinSet;
use versus_measure::{Ask, Durability, Fallible, Figure, Store, VALUE};

pub async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    match ask.kind() {
        "dag" => dag::measure(ask).await,
        "chain10" => chain::chain10(ask).await,
        "jobs" => chain::jobs(ask).await,
        "seq" => seq::seq(ask).await,
        "slope" => seq::slope(ask).await,
        "wide" => wide::measure(ask).await,
        "start" => start::measure(ask).await,
        "recover" => recover::measure(ask).await,
        "parked" => parked::measure(ask).await,
        "timers" => timers::measure(ask).await,
        "pinned" => fleet::pinned(ask).await,
        "fleet" => fleet::fleet(ask).await,
        "idle" => fleet::idle(ask).await,
        _ => ask.unknown(),
    }
}

/// An engine on the store that was asked for. The SQLite store reads its durability back when it opens, and does not
/// open if it is another than was asked for.
fn engine(ask: &Ask) -> Fallible<EngineBuilder> {
    let url = match (ask.store, ask.durability) {
        (Store::Sqlite, Durability::Full) => format!("sqlite:{}", ask.file().display()),
        (Store::Sqlite, Durability::Normal) => format!("sqlite:{}?synchronous=normal", ask.file().display()),
        (Store::Memory, Durability::None) => "memory:".to_owned(),
        (Store::Postgres, Durability::On) => ask.url()?.to_owned(),
        _ => return ask.unknown(),
    };
    Ok(Engine::builder().store(url))
}

/// The step of most cases: it gives what it got.
async fn pass(value: String) -> Result<String, StepError> {
    Ok(value)
}

/// So many steps, one after the other.
fn chain(steps: usize) -> Result<Workflow<String, String>, PlanFaults> {
    workflow("chain")
        .define(|flow, value| (0..steps).fold(value, |value, step| flow.step(&format!("step {step}"), pass, value)))
}

/// Starts so many runs, a thousand at a time, and lets go of them.
async fn start_all(engine: &Engine, flow: &Arc<Workflow<String, String>>, runs: usize) -> Fallible<()> {
    for from in (0..runs).step_by(1_000) {
        let mut tasks = JoinSet::new();
        for _ in from..runs.min(from + 1_000) {
            let (engine, flow) = (engine.clone(), flow.clone());
            tasks.spawn(async move { engine.start(&flow, VALUE.to_owned()).await.map(drop) });
        }
        while let Some(started) = tasks.join_next().await {
            started??;
        }
    }
    Ok(())
}
