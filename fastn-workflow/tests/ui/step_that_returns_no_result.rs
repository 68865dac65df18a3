#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

async fn weigh(_: Order) -> u32 {
    1
}

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        flow.step("weigh", weigh, order)
    });
}
