//! A run sleeps through a restart of its engine, and cancelling a run reaches the step that is running.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::sync::Arc;

use fastn::prelude::*;
use tokio::sync::Notify;

async fn remind(what: String) -> Result<String, StepError> {
    Ok(format!("remember to {what}"))
}

async fn throw_away(_: String) -> Result<(), StepError> {
    println!("undo: the reserved disk space is given back");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = format!("sqlite:{}", folder.path().join("runs.db").display());

    let reminder = workflow("reminder").define(|flow, what| {
        let what = flow.sleep("a while", millis(300), what);
        flow.step("remind", remind, what)
    })?;
    let begun = Arc::new(Notify::new());
    let encode = {
        let begun = begun.clone();
        move |cx: StepCx, video: String| {
            let begun = begun.clone();
            async move {
                println!("encoding {video}");
                begun.notify_one();
                // A step that listens gets a moment to clean up. One that does not is dropped where it waits.
                cx.cancelled().await;
                println!("the step was told to stop, and removes its temporary files");
                Err::<String, _>(StepError::new("stopped"))
            }
        }
    };
    let reserve = |video: String| async move { Ok::<_, StepError>(video) };
    let upload = workflow("upload").define(|flow, video| {
        let video = flow.step("reserve", reserve.undo(throw_away), video);
        flow.step("encode", encode, video)
    })?;

    // The time to wake up is recorded, so it does not matter which process is there when it comes.
    let engine = Engine::builder().store(&*store).serve(&reminder).open().await?;
    engine.start(&reminder, "water the plants".to_owned()).key("plants").await?;
    engine.shutdown().await?;
    println!("the engine is shut down while the run sleeps");

    let engine = Engine::builder().store(&*store).serve(&reminder).serve(&upload).open().await?;
    // The same key and input: this attaches to the run that is there.
    let run = engine.start(&reminder, "water the plants".to_owned()).key("plants").await?;
    println!("the next engine wakes it: {}", run.output().await?);

    let run = engine.start(&upload, "holidays.mov".to_owned()).await?;
    begun.notified().await;
    run.cancel("the customer changed their mind").await?;
    println!("the run ended: {}", run.outcome().await?);
    engine.shutdown().await?;
    Ok(())
}
