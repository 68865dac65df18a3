#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ =
        workflow!("checkout", |flow, id: OrderId| { step!(flow, "fetch", fetch(id), within = secs(10), retyr = 5) });
}
