#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

pub struct Scales;

async fn weigh(_: Order) -> Result<Scales, Shop> {
    Ok(Scales)
}

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        flow.step("weigh", weigh, order)
    });
}
