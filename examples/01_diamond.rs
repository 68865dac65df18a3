//! Two steps run side by side and a third one joins them: on an engine that records nothing, then on one that does.
#![allow(clippy::print_stdout, reason = "an example prints")]

use fastn::prelude::*;

async fn split(text: String) -> Result<Vec<String>, StepError> {
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

async fn count(words: Vec<String>) -> Result<usize, StepError> {
    Ok(words.len())
}

async fn longest(words: Vec<String>) -> Result<String, StepError> {
    words.into_iter().max_by_key(String::len).ok_or_else(|| StepError::permanent("there are no words"))
}

async fn report(count: usize, longest: String) -> Result<String, StepError> {
    Ok(format!("{count} words, the longest is {longest:?}"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    // A port, such as `words`, stands for a value that a run will have. It may be used as often as you like.
    let words = workflow("words").define(|flow, text| {
        let words = flow.step("split", split, text);
        let count = flow.step("count", count, words);
        let longest = flow.step("longest", longest, words);
        flow.step("report", report, (count, longest))
    })?;
    println!("{}\n", words.plan());

    // Without a store the engine is ephemeral: nothing is recorded, and runs end with the process.
    let engine = Engine::builder().serve(&words).open().await?;
    let run = engine.start(&words, "a diamond is forever".to_owned()).await?;
    println!("ephemeral: {}", run.output().await?);
    engine.shutdown().await?;

    // The same workflow with a store. `sqlite:words.db` would keep its runs in a file.
    let engine = Engine::builder().store("memory:").serve(&words).open().await?;
    let run = engine.start(&words, "durable workflows as a library".to_owned()).await?;
    println!("recorded:  {}", run.output().await?);
    let recorded = engine.runs().inspect(run.tenant(), run.id()).await?;
    println!("the journal has {} records of the second run", recorded.history.records.len());
    engine.shutdown().await
}
