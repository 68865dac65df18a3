#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn is_risky(_: &Quote) -> bool {
    true
}

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        flow.when("risky", is_risky, order, |_, order| order, |_, order| order)
    });
}
