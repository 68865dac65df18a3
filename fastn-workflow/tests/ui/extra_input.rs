#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        let quote = flow.step("price", price, order);
        flow.step("price again", price, (order, quote))
    });
}
