#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

async fn no_hold(_: Failure, _: Order) -> Result<Quote, Shop> {
    Ok(Quote)
}

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        flow.step("reserve", reserve.on_error(no_hold), order)
    });
}
