#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        flow.when(
            "big",
            |_: &Order| true,
            order,
            |flow, order| flow.step("price", price, order),
            |flow, order| flow.step("reserve", reserve, order),
        )
    });
}
