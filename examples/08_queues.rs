//! Runs wait for their turn: so many at a time, keys that take turns, and one run for many requests or many items.
#![allow(clippy::print_stdout, reason = "an example prints")]

use fastn::prelude::*;
use fastn::runtime::{Batching, Queue, Singleton};
use tokio::sync::mpsc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (tell, mut sent) = mpsc::unbounded_channel();
    let mail = workflow("mail").define(|flow, to: Out<'_, (String, u32)>| {
        let send = move |(customer, n): (String, u32)| {
            let tell = tell.clone();
            async move { tell.send(format!("{customer} {n}")).map_err(|_| StepError::new("nobody listens")) }
        };
        flow.step("send", send, to)
    })?;

    let digest = workflow("digest").define(|flow, lines: Out<'_, Vec<String>>| {
        flow.step("join", |lines: Vec<String>| async move { Ok::<_, StepError>(lines.join(" and ")) }, lines)
    })?;

    // A queue is one for all executors on a store, whichever of them a run was started by. Its key is found in the input.
    let folder = tempfile::tempdir()?;
    let store = format!("sqlite:{}", folder.path().join("runs.db").display());
    let queue = Queue::new("mail").concurrency(1).per_key(1).rate(1_000, secs(60)).key("/0").weight("gold", 2);
    let engine = Engine::builder().store(&*store).queue(queue).serve(&mail).serve(&digest).open().await?;

    // Nothing is admitted while the queue is paused, so that all are there before the first goes.
    engine.queues().pause("mail").await?;
    for (customer, count) in [("long", 4), ("gold", 4), ("short", 1)] {
        for n in 1..=count {
            engine.start(&mail, (customer.to_owned(), n)).queue("mail").await?;
        }
    }
    let counts = engine.queues().counts("mail", 1).await?;
    println!("{} wait", counts.waiting);
    engine.queues().resume("mail").await?;
    for _ in 0..9 {
        println!("mail to {}", sent.recv().await.ok_or("a mail is missing")?);
    }

    // Of a hundred requests to tell a customer the same there is one mail, with the last input.
    let mut runs = Vec::new();
    for n in 0..100 {
        let start = engine.start(&mail, ("debounced".to_owned(), n)).queue("mail");
        runs.push(start.debounce("news for debounced", millis(50), secs(5)).await?);
    }
    runs.dedup_by_key(|run| run.id());
    println!("{} run, mail to {}", runs.len(), sent.recv().await.ok_or("a mail is missing")?);

    // What comes one by one becomes one run: three lines, or what there is after an hour.
    let hourly = Batching::new("mail", 3, hours(1));
    let mut lines = Vec::new();
    for line in ["a sale", "another sale", "a return"] {
        lines.push(engine.start_batched(&digest, line.to_owned(), &hourly).await?);
    }
    lines.dedup_by_key(|run| run.id());
    for run in &lines {
        println!("one run of {}", run.output().await?);
    }

    // Of a singleton there is one at a time.
    let report = || engine.start(&mail, ("single".to_owned(), 1)).queue("mail").delay(hours(1));
    let first = report().singleton(Singleton::Attach).await?;
    println!("attached: {}", report().singleton(Singleton::Attach).await?.id() == first.id());
    let refused = report().singleton(Singleton::CancelNewest).await;
    println!("refused: {}", refused.is_err_and(|error| error.kind() == ErrorKind::AlreadyExists));
    println!("cancelled while it waits: {}", first.cancel("not needed after all").await?);
    engine.shutdown().await?;
    Ok(())
}
