#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow("labels").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        let lines = flow.step("lines", lines, order);
        flow.each("lines again", lines, |flow, _line| flow.step("price", price, order))
    });
}
