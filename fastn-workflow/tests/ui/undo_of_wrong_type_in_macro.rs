#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

async fn unbill(_: Receipt) -> Result<(), Shop> {
    Ok(())
}

fn main() {
    let _ = workflow!("checkout", |flow, id: OrderId| {
        let order = step!(flow, "fetch", fetch(id));
        step!(flow, "reserve", reserve(order), undo = unbill)
    });
}
