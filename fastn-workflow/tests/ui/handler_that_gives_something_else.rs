#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        flow.attempt("hold", order, |flow, order| flow.step("reserve", reserve, order))
            .catch_all(|flow, _| flow.constant(1_u64).at_most(1))
            .done()
    });
}
