//! Replays recorded scientific workflows, each as one durable run of a graph that is known only at run time, and goes
//! on where it was when it was killed.
//!
//! | room | what is there |
//! |---|---|
//! | `args` | the command line |
//! | `format` | a WfFormat file in, an instance out |
//! | `replay` | an instance as a workflow, and what its tasks do |
//! | `report` | what is told of each run |
//!
//! ```sh
//! cargo run --release --example wfcommons -- *.json --store sqlite:runs.db --run-id today --log done.tsv
//! ```

mod args;
mod format;
mod replay;
mod report;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use fastn::core::BoxError;
use fastn::prelude::*;
use fastn::store::Store;

use crate::args::Args;
use crate::format::Instance;
use crate::replay::{Before, Replay, Shared};

fn main() -> ExitCode {
    let args = match args::parse(std::env::args_os().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => return ended(report::help().map(|()| ExitCode::SUCCESS).map_err(Into::into)),
        Err(fault) => return refused(&[fault, "--help says how this is used".to_owned()]),
    };
    let replays = match prepare(&args) {
        Ok(replays) => replays,
        Err(faults) => return refused(&faults),
    };
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => ended(runtime.block_on(run(&args, &replays))),
        Err(error) => ended(Err(error.into())),
    }
}

/// What the caller gave is at fault, and nothing was stored.
fn refused(faults: &[String]) -> ExitCode {
    report::complain(faults);
    ExitCode::from(2)
}

fn ended(end: Result<ExitCode, BoxError>) -> ExitCode {
    end.unwrap_or_else(|error| {
        report::complain(&report::chain(&*error));
        ExitCode::FAILURE
    })
}

/// Loads and checks every file before anything else is done.
///
/// # Errors
/// All faults of all files.
fn prepare(args: &Args) -> Result<Vec<Replay>, Vec<String>> {
    let shared = Arc::new(Shared::new(args));
    let (mut replays, mut faults) = (Vec::<Replay>::new(), Vec::new());
    for file in &args.files {
        let replay = Instance::load(file).and_then(|instance| {
            if replays.iter().any(|other| other.instance == instance.name) {
                return Err(vec![format!("there is another instance of the name {}", instance.name)]);
            }
            Replay::new(&instance, &shared).map_err(|found| found.faults.iter().map(ToString::to_string).collect())
        });
        match replay {
            Ok(replay) => replays.push(replay),
            Err(found) => faults.extend(found.iter().map(|fault| format!("{}: {fault}", file.display()))),
        }
    }
    if faults.is_empty() {
        faults.extend(shared.open_log(args).err());
    }
    if faults.is_empty() { Ok(replays) } else { Err(faults) }
}

async fn run(args: &Args, replays: &[Replay]) -> Result<ExitCode, BoxError> {
    let store = match fastn::store::open(&args.store).await {
        Ok(store) => store,
        Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unsupported | ErrorKind::NotFound) => {
            return Ok(refused(&report::chain(&error)));
        }
        Err(error) => return Err(error.into()),
    };
    let end = replay_all(store.clone(), replays).await;
    store.close().await?;
    end
}

async fn replay_all(store: Arc<dyn Store>, replays: &[Replay]) -> Result<ExitCode, BoxError> {
    // Read before the engine is opened, since opening goes on with what was under way.
    let mut before = Vec::new();
    for replay in replays {
        before.push(match store.read(&replay.key()).await? {
            Some(history) => match replay.before(&history) {
                Ok(before) => before,
                Err(fault) => return Ok(refused(&[fault])),
            },
            None => Before::default(),
        });
    }
    let opened = Instant::now();
    let engine = replays.iter().fold(Engine::builder().store(store), |engine, replay| engine.serve(&replay.workflow));
    let engine = engine.open().await?;

    let mut code = ExitCode::SUCCESS;
    for (replay, before) in replays.iter().zip(before) {
        let begun = if before.under_way { opened } else { Instant::now() };
        let report = replay.go(&engine, begun, before.done).await?;
        report.print()?;
        if report.status != RunStatus::Succeeded.as_str() {
            code = ExitCode::FAILURE;
        }
    }
    engine.shutdown().await?;
    Ok(code)
}
