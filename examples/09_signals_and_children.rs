//! An order waits for its payment, runs the workflow that ships it, and polls the carrier until the parcel has arrived. The
//! engine is shut down while it waits. Another order is cancelled, and what it had started is cancelled with it.
#![allow(clippy::print_stdout, reason = "an example prints")]

use fastn::prelude::*;

/// What the host tells an order, and what the order waits for.
const PAID: Signal<u64> = Signal::new("paid");
/// What the warehouse tells a shipment.
const PACKED: Signal<String> = Signal::new("packed");
/// The workflow that orders run to be shipped.
const SHIPPING: Child<u64, String> = Child::new("shipping");

async fn reserve(order: u64) -> Result<u64, StepError> {
    println!("order {order}: goods reserved");
    Ok(order)
}

async fn release(order: u64) -> Result<(), StepError> {
    println!("order {order}: goods released");
    Ok(())
}

async fn check(order: u64, cents: u64) -> Result<u64, StepError> {
    if cents >= 100 {
        Ok(order)
    } else {
        Err(StepError::permanent(format!("order {order}: {cents} cents are too little")))
    }
}

async fn ask_carrier(stops: u64) -> Result<u64, StepError> {
    println!("the parcel has {} stops to go", stops - 1);
    Ok(stops - 1)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = format!("sqlite:{}", folder.path().join("runs.db").display());

    let shipping = workflow("shipping").define(|flow, order: Out<'_, u64>| {
        let parcel = flow.wait("packed", PACKED, order);
        let stops = flow.constant(2_u64);
        let there = flow.repeat(
            "on its way",
            100,
            |stops: &u64| *stops > 0,
            stops,
            |flow, stops| {
                let later = flow.sleep("a while", millis(20), stops);
                flow.step("ask carrier", ask_carrier, later)
            },
        );
        flow.step("delivered", async |parcel: String, _: u64| Ok::<_, StepError>(parcel), (parcel, there))
    })?;
    let order = workflow("order").define(|flow, order| {
        let held = flow.step("reserve", reserve.undo(release), order);
        let cents = flow.wait("payment", PAID.deadline(days(3)), held);
        let paid = flow.step("check", check, (held, cents));
        flow.run("ship", SHIPPING, paid)
    })?;
    println!("{}\n", order.plan());
    let open = || Engine::builder().store(&*store).serve(&order).serve(&shipping).open();

    let engine = open().await?;
    let run = engine.start(&order, 1).key("order 1").await?;
    // The bank may tell us more than once: with the id of its event, the order hears it once.
    for _ in 0..2 {
        let delivery = run.signal(PAID, &4_200).id("bank event 77").await?;
        println!("the bank's event: {delivery:?}");
    }
    engine.shutdown().await?;
    println!("the engine is shut down");

    let engine = open().await?;
    let run = engine.start(&order, 1).key("order 1").await?;
    let shipment = shipment(&engine).await?;
    shipment.signal(PACKED, &"parcel 17".to_owned()).await?;
    println!("order 1 gives {:?}", run.output().await?);

    let run = engine.start(&order, 2).key("order 2").await?;
    run.signal(PAID, &900).await?;
    let shipment = self::shipment(&engine).await?;
    run.cancel("the customer changed their mind").await?;
    println!("order 2 {}", run.outcome().await?);
    println!("its shipment is {}", shipment.status().await?);
    engine.shutdown().await?;
    Ok(())
}

/// The shipment that is under way.
async fn shipment(engine: &Engine) -> Result<RunHandle<String>, Error> {
    let status = vec![RunStatus::Pending, RunStatus::Running, RunStatus::Waiting];
    let query = RunQuery { workflow: "shipping".parse().ok(), status, ..RunQuery::default() };
    loop {
        if let Some(run) = engine.runs().list(query.clone()).await?.runs.pop() {
            return Ok(engine.runs().handle(&run.key.tenant, run.key.run));
        }
        tokio::task::yield_now().await;
    }
}
