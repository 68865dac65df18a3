#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn checkout() -> Result<Workflow<OrderId, Receipt>, PlanFaults> {
    workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        flow.step("reserve", reserve, order)
    })
}

fn main() {
    let _ = checkout();
}
