#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        let hold = flow.step("reserve", reserve, order);
        let quote = flow.step("price", price, order);
        flow.attempt("pay", quote, |flow, quote| flow.step("charge", charge, (quote, hold))).done()
    });
}
