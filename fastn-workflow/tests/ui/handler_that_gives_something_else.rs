#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

async fn instead(_: (Failure, Order)) -> Result<Quote, Shop> {
    Ok(Quote)
}

fn main() {
    let _ = workflow("checkout").define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        flow.attempt("hold", order, |flow, order| flow.step("reserve", reserve, order))
            .catch_all(|flow, failed| flow.step("instead", instead, failed))
            .done()
    });
}
