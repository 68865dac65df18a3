#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow!("checkout", vresion = 3, |flow, id: OrderId| { step!(flow, "fetch", fetch(id)) });
}
