#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow!("checkout", |flow, id: OrderId| {
        let order = step!(flow, "fetch", fetch(id));
        call!(flow, "tell", POST(order), retry = 3)
    });
}
