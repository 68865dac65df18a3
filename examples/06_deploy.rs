//! A step runs a program of this machine, and whoever watches the run sees live what the program prints.
#![allow(clippy::print_stdout, reason = "an example prints")]

use fastn::connectors::process::{self, Command, Exit, Process};
use fastn::prelude::*;
use serde::{Deserialize, Serialize};

/// Every line that is a JSON object is progress; the last one says what came of it.
const SCRIPT: &str = r#"
set -e
echo "{\"percent\": 10, \"doing\": \"fetch $1 $2\"}"
echo "{\"percent\": 60, \"doing\": \"start the new version\"}"
echo "{\"percent\": 90, \"doing\": \"send it the traffic\"}"
echo "{\"percent\": 100, \"doing\": \"done\", \"url\": \"https://$1.example\"}"
"#;

#[derive(Serialize, Deserialize)]
struct Release {
    script: String,
    service: String,
    version: String,
}

/// What the script tells of its progress.
#[derive(Deserialize)]
struct Line {
    percent: u32,
    doing: String,
}

async fn prepare(release: Release) -> Result<Command, StepError> {
    // What comes from outside is an argument, never a part of the script's text.
    Ok(Command::new("sh").arg(release.script).arg(release.service).arg(release.version))
}

async fn address(exit: Exit) -> Result<String, StepError> {
    let url = exit.lines.last().and_then(|line| line.get("url")?.as_str().map(str::to_owned));
    url.ok_or_else(|| StepError::permanent("the script did not say where the service is"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("deploy.sh");
    std::fs::write(&script, SCRIPT)?;

    let deploy = workflow("deploy").define(|flow, release| {
        let command = flow.step("prepare", prepare, release);
        let exit = flow.call("deploy", process::RUN.retry(2).within(minutes(5)), command);
        flow.step("address", address, exit)
    })?;
    // Only the programs that are named here can be run.
    let registry = Registry::new().with(Process::builder().allow_program("sh").build())?;
    let engine = Engine::builder().connectors(registry).serve(&deploy).open().await?;

    let release =
        Release { script: script.display().to_string(), service: "shop".to_owned(), version: "v7".to_owned() };
    let (run, mut events) = engine.start(&deploy, release).watched().await?;
    while let Some(event) = events.next().await {
        match event {
            RunEvent::Progress { data, .. } => {
                let line: Line = data.decode()?;
                println!("  {:>3} % {}", line.percent, line.doing);
            }
            RunEvent::Succeeded { node, .. } => println!("{node}: succeeded"),
            RunEvent::Failed { node, failure, .. } => println!("{node}: {failure}"),
            _ => {}
        }
    }
    println!("the service is at {}", run.output().await?);
    engine.shutdown().await?;
    Ok(())
}
