//! Failures that go no further than what they happened in: `attempt` undoes, tries again, lets something else take over and is
//! finished in any case; of a `race` the first arm wins, and of a list some items may fail.
#![allow(clippy::print_stdout, reason = "an example prints")]

use fastn::prelude::*;

async fn reserve(seats: u64) -> Result<u64, StepError> {
    println!("reserved {seats} seats");
    Ok(seats)
}

async fn release(seats: u64) -> Result<(), StepError> {
    println!("released {seats} seats");
    Ok(())
}

async fn charge(seats: u64) -> Result<String, StepError> {
    Err(StepError::new(format!("no money for {seats} seats")).of_kind("card_declined"))
}

async fn invoice((failure, seats): (Failure, u64)) -> Result<String, StepError> {
    println!("another way, because: {}", failure.message);
    Ok(format!("an invoice for {seats} seats"))
}

async fn close(_: u64) -> Result<(), StepError> {
    println!("closed the till");
    Ok(())
}

async fn ask(shop: String) -> Result<u64, StepError> {
    match shop.len() {
        4 => Ok(40),
        _ => Err(StepError::permanent(format!("{shop} is shut"))),
    }
}

async fn report(asked: Vec<Settled<u64>>) -> Result<(), StepError> {
    for one in asked {
        match one {
            Settled::Ok(cents) => println!("a quote: {cents}"),
            Settled::Error(failure) => println!("no quote: {}", failure.message),
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let booking = workflow("booking").define(|flow, seats| {
        let quick = flow
            .race("offers", seats)
            .arm("later", |flow, seats| flow.sleep("rest", hours(1), seats))
            .arm("now", |_, seats| seats)
            .first();
        flow.attempt("pay", quick, |flow, seats| {
            let held = flow.step("reserve", reserve.undo(release), seats);
            flow.step("charge", charge, held)
        })
        .retry(Retry::fixed(millis(5)).attempts(2))
        .catch("card_declined", |flow, failed| flow.step("invoice", invoice, failed))
        .finally(close)
        .done()
    })?;
    println!("{}\n", booking.plan());

    let quotes = workflow("quotes").define(|flow, shops: Out<'_, Vec<String>>| {
        let asked =
            flow.each("ask", shops.tolerating(Tolerance::Percent(50)), |flow, shop| flow.step("one", ask, shop));
        flow.step("report", report, asked)
    })?;

    let engine = Engine::builder().serve(&booking).serve(&quotes).open().await?;
    println!("paid by {}\n", engine.start(&booking, 2).await?.output().await?);
    engine.start(&quotes, vec!["Bude".to_owned(), "Kiosk".to_owned()]).await?.output().await?;
    engine.shutdown().await
}
