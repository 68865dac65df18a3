//! A step that fails is tried again; when one fails for good, what was done before it is undone, the last thing first.
#![allow(clippy::print_stdout, reason = "an example prints")]

use fastn::prelude::*;

async fn book_flight(city: String) -> Result<String, StepError> {
    println!("booked a flight to {city}");
    Ok(format!("flight to {city}"))
}

async fn book_hotel(cx: StepCx, city: String) -> Result<String, StepError> {
    // The attempt is part of what a step can know about itself.
    if cx.info().attempt.0 < 3 {
        println!("attempt {} to book a hotel in {city}: the line is busy", cx.info().attempt);
        return Err(StepError::new("the line is busy"));
    }
    println!("attempt {} to book a hotel in {city}: booked", cx.info().attempt);
    Ok(format!("hotel in {city}"))
}

async fn pay(flight: String, hotel: String) -> Result<String, StepError> {
    println!("paying for the {flight} and the {hotel}: the card is declined");
    // Permanent: no retry can mend it, whatever the policy says.
    Err(StepError::permanent("the card is declined").of_kind("card_declined"))
}

async fn cancel(booking: String) -> Result<(), StepError> {
    println!("cancelled the {booking}");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let busy = Retry::exponential(millis(5)).cap(secs(1)).attempts(4);
    let trip = workflow("trip").define(|flow, city| {
        let flight = flow.step("flight", book_flight.undo(cancel), city);
        let hotel = flow.step("hotel", book_hotel.retry(busy).undo(cancel).after(flight), city);
        flow.step("pay", pay.retry(5), (flight, hotel))
    })?;
    println!("{}\n", trip.plan());

    let engine = Engine::builder().store("memory:").serve(&trip).open().await?;
    let run = engine.start(&trip, "Lisbon".to_owned()).await?;
    match run.outcome().await? {
        Outcome::Failed(failure) => println!("the trip failed at `{failure}`"),
        other => println!("the trip {other}"),
    }
    engine.shutdown().await
}
