#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow("labels").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        flow.each("lines", order, |flow, line| flow.step("label", label, line))
    });
}
