#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow!("checkout", |flow, id: OrderId| {
        let order = step!(flow, "fetch", fetch(id));
        let quote = step!(flow, "price", price(order));
        let hold = step!(flow, "reserve", reserve(order));
        step!(flow, "charge", charge(hold, quote), retry = 5, within = secs(10))
    });
}
