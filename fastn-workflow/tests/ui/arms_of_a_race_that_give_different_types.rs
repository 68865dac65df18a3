#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        flow.race("any", order)
            .arm("price", |flow, order| flow.step("price", price, order))
            .arm("reserve", |flow, order| flow.step("reserve", reserve, order))
            .first()
    });
}
