#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        flow.attempt("hold", order, |flow, order| flow.step("reserve", reserve, order)).finally(release).done()
    });
}
