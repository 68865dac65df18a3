//! `each` does a part of a flow for every item of a list, several at a time, and `when` chooses between two arms.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use fastn::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Parcel {
    to: String,
    kilos: u32,
}

async fn by_bike(parcel: Parcel) -> Result<String, StepError> {
    Ok(format!("{} by bike", parcel.to))
}

async fn by_truck(parcel: Parcel) -> Result<String, StepError> {
    Ok(format!("{} by truck", parcel.to))
}

/// One parcel: a part of a flow that deserves a name is a function.
fn deliver<'f>(flow: Flow<'f>, parcel: Out<'f, Parcel>) -> Out<'f, String> {
    flow.when(
        "heavy",
        |parcel: &Parcel| parcel.kilos > 10,
        parcel,
        |flow, parcel| flow.step("truck", by_truck, parcel),
        |flow, parcel| flow.step("bike", by_bike, parcel),
    )
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    // How many parcels are being weighed now, and how many were at the busiest moment.
    let (now, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let busiest = peak.clone();
    let weigh = move |parcel: Parcel| {
        let (now, peak) = (now.clone(), peak.clone());
        async move {
            peak.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::time::sleep(millis(10)).await;
            now.fetch_sub(1, SeqCst);
            Ok::<_, StepError>(parcel)
        }
    };

    let round = workflow("round").define(|flow, parcels: Out<'_, Vec<Parcel>>| {
        flow.each("parcels", parcels.at_most(3), |flow, parcel| {
            let weighed = flow.step("weigh", weigh, parcel);
            deliver(flow, weighed)
        })
    })?;
    println!("{}\n", round.plan());

    let parcels: Vec<Parcel> = ["Ada", "Bela", "Cleo", "Dora", "Emil", "Fay", "Gus", "Hal"]
        .iter()
        .zip([2, 30, 4, 15, 1, 11, 10, 3])
        .map(|(to, kilos)| Parcel { to: (*to).to_owned(), kilos })
        .collect();
    let engine = Engine::builder().serve(&round).open().await?;
    let delivered = engine.start(&round, parcels).await?.output().await?;
    // In the order of the list, whatever was done first.
    delivered.iter().for_each(|line| println!("{line}"));
    println!("\nat the busiest moment {} of {} were weighed", busiest.load(SeqCst), delivered.len());
    engine.shutdown().await
}
