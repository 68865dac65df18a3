#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

async fn release_and_tell(_: Hold) -> Result<u32, Shop> {
    Ok(1)
}

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        flow.step("reserve", reserve.undo(release_and_tell), order)
    });
}
