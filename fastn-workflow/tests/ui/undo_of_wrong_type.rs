#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

async fn unbill(_: Receipt) -> Result<(), Shop> {
    Ok(())
}

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        flow.step("reserve", reserve.undo(unbill), order)
    });
}
