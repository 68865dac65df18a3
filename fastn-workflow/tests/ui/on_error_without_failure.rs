#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

async fn plain_hold(_: Order) -> Result<Hold, Shop> {
    Ok(Hold)
}

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        flow.step("reserve", reserve.on_error(plain_hold), order)
    });
}
