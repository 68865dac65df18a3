#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        let quote = flow.step("price", price, order);
        let hold = flow.step("reserve", reserve, order);
        flow.step("charge", charge.retry(5).within(secs(10)), (hold, quote))
    });
}
