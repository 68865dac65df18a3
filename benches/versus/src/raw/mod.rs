//! What lies below fastn, by hand: nothing here is an engine. It is the least that work of this shape costs.

mod chain;
mod dag;
mod parked;
mod postgres;
mod recover;
mod seq;
mod sqlite;
mod start;
mod timers;
mod wide;
mod writer;

use versus_measure::{Ask, Fallible, Figure, Store};

pub async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    if ask.store == Store::Postgres {
        return postgres::measure(ask).await;
    }
    match ask.kind() {
        "dag" => dag::measure(ask).await,
        "chain10" => chain::chain10(ask).await,
        "jobs" => chain::jobs(ask).await,
        "seq" => Ok(seq::marks(ask, 1_000)?.seq()),
        "slope" => Ok(seq::marks(ask, ask.pick(100_000, 4_000))?.slope()),
        "wide" => wide::measure(ask).await,
        "start" => start::measure(ask),
        "recover" => recover::measure(ask).await,
        "parked" => parked::measure(ask).await,
        "timers" => timers::measure(ask).await,
        _ => ask.unknown(),
    }
}
