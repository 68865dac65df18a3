#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        let mut leaked = None;
        flow.when(
            "big",
            |_: &Order| true,
            order,
            |flow, order| {
                let quote = flow.step("price", price, order);
                leaked = Some(quote);
                quote
            },
            |flow, order| flow.step("price", price, order),
        )
    });
}
