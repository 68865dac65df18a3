#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

async fn nine(_: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8) -> Result<u8, Shop> {
    Ok(9)
}

fn main() {
    let _ = workflow("nine").define(|flow, n| flow.step("nine", nine, (n, n, n, n, n, n, n, n, n)));
}
