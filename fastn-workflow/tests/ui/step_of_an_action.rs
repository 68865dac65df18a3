#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow("tell").define(|flow, note: Out<'_, Message>| flow.step("tell", POST, note));
}
