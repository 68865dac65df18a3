//! `fastn dev`: runs a document again whenever it is changed.

use std::path::Path;
use std::time::{Duration, SystemTime};

use fastn::core::Result;
use fastn::documents::Tasks;
use serde_json::Value;

use crate::args::{Network, Output};
use crate::engines::{block_on, interrupted, open};
use crate::follow::{End, follow};
use crate::given::{check, given};
use crate::load::{beside, load};
use crate::report::Report;
use crate::said::{Exit, tell};

/// How often the file is looked at. Editors write files in ways that differ, and the time of the last change is the same for all.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) fn dev(file: &Path, input: Option<&str>, network: Network) -> Result<Exit> {
    let input = given(input)?;
    block_on(async {
        loop {
            let seen = changed(file);
            let again = async {
                loop {
                    tokio::time::sleep(LOOK).await;
                    if changed(file) != seen {
                        return;
                    }
                }
            };
            tokio::select! {
                biased;
                () = interrupted() => return Ok(Exit::Interrupted),
                // A run whose document was changed is of no interest any more.
                () = again => continue,
                done = once(file, &input, network) => match done {
                    Ok(true) => return Ok(Exit::Interrupted),
                    Ok(false) => {}
                    Err(error) => tell(format!("fastn: {error:?}")),
                },
            }
            tell(format!("waits for a change of {}", file.display()));
            tokio::select! {
                biased;
                () = interrupted() => return Ok(Exit::Interrupted),
                () = until(file, seen) => {}
            }
        }
    })
}

async fn until(file: &Path, seen: Option<Seen>) {
    while changed(file) == seen {
        tokio::time::sleep(LOOK).await;
    }
}

/// When a file was changed, and how long it is: what is cleared and written at one tick of the clock has one time.
type Seen = (SystemTime, u64);

fn changed(file: &Path) -> Option<Seen> {
    let known = std::fs::metadata(file).ok()?;
    Some((known.modified().ok()?, known.len()))
}

/// Checks it and runs it. Whether the command is to end.
async fn once(file: &Path, input: &Value, network: Network) -> Result<bool> {
    let tasks = Tasks::new();
    let Some(loaded) = load(file, &tasks)? else { return Ok(false) };
    check(&loaded.document, input)?;
    let mut workflows = beside(file, &loaded, &tasks)?;
    workflows.insert(0, loaded.workflow.clone());
    let engine = open(None, &workflows, network).await?;
    let (run, events) = engine.start(&loaded.workflow, input.clone()).watched().await?;
    let ended = follow(&run, events, loaded.workflow.plan(), None).await?;
    let interrupted = match &ended {
        End::Over(outcome) => {
            let report = Report { run: run.id(), workflow: loaded.document.name(), outcome: Some(outcome) };
            report.say(Output::Table).map(|_| false)?
        }
        End::TimedOut => false,
        End::Interrupted => true,
    };
    engine.shutdown().await.map(|()| interrupted)
}
